"""Code of the Lambda functions that create, watch, publish and stop tuning jobs.

Standard library and boto3 only. Each module has one ``handler``; ``contract`` holds what synthesis shares with them.
"""
