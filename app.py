"""The CDK app of this repository: the tuning jobs of the templates that cdk.json names."""

import sys

from hpo_constructs.stacks.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
