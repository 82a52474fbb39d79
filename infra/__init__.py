"""The CDK app's parts: settings, one construct per concern, stacks that only wire them."""
