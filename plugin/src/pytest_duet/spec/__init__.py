"""Read, check and resolve spec files into groups, as data. Imports no user code."""
