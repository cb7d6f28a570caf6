"""What is to be measured, as data: spec files are read, checked and resolved into groups. Imports no user code."""
