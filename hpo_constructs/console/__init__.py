"""The web application of `hpo console`: the commands' views and the wizard in a browser on this machine."""
