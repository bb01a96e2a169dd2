"""What there is: a description of every component, which imports none of them."""
