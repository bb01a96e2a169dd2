"""Training strategies: semi-supervised, class-conditional and supervised."""
