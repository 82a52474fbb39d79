"""The Lambda function that posts one test photo to the API, as a user would."""
