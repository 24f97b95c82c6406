"""Ways to run ImageGen: on one machine (local), and the parts that they share."""
