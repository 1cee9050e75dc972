"""What an endpoint is good for: asked, tried and measured, each finding with its next step."""
