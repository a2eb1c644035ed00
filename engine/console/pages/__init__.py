"""The pages, one module for each part of the console; each gives its routes for a set of services."""
