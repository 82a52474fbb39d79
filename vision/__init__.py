"""Photos, preprocessing, backbones and the classifier: what training and serving must do in exactly the same way."""
