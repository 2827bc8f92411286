"""A complete CDK app: `cdk deploy --app "python -m hpo_constructs.stacks templates/"`."""

import sys
from argparse import ArgumentParser
from collections.abc import Sequence

from aws_cdk import App

from ..errors import HpoError
from .tuning_stack import TuningStack


def main(arguments: Sequence[str] | None = None) -> int:
    """Synthesizes one stack of the templates named; answers the exit status.

    Without templates on the command line they are those of the context key `hpo:templates`, a path or a list of
    paths.
    """
    parser = ArgumentParser(prog="python -m hpo_constructs.stacks", description="CDK app of tuning job templates")
    parser.add_argument("templates", nargs="*", metavar="TEMPLATE", help="template file, or folder of templates")
    parser.add_argument("--stack-name", default="HpoTuning", help="the stack's name, HpoTuning by default")
    options = parser.parse_args(arguments)
    app = App()
    templates = options.templates or app.node.try_get_context("hpo:templates")
    if not templates:
        parser.error("no template named: give one, or set the context key hpo:templates in cdk.json")
    try:
        TuningStack(app, options.stack_name, templates=templates)
    except HpoError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    try:
        app.synth()
    except RuntimeError as error:
        # Outside the CDK CLI a synthesis with findings raises; inside, the CLI reports them.
        if "ValidationFailed" not in str(error):
            raise
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
