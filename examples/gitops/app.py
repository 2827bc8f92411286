"""The tuning jobs of all teams, once for each environment: a stage per environment, a stack per team's folder."""

from pathlib import Path
from typing import Any

from aws_cdk import App, Duration, Environment, RemovalPolicy, Stage
from constructs import Construct

from hpo_constructs.cdk import TuningAlarms, TuningDashboard, TuningNotifications
from hpo_constructs.stacks import TuningStack

TEAMS = Path(__file__).parent / "teams"


class TuningStage(Stage):
    """One environment. It can be deployed by hand (`cdk deploy 'Dev/*'`) or added to a CDK pipeline."""

    def __init__(self, scope: Construct, id: str, *, settings: dict[str, Any]) -> None:
        super().__init__(scope, id, env=Environment(account=settings["account"], region=settings["region"]))
        production: bool = settings.get("production", False)
        # Before the stacks are made: they and their jobs read them.
        self.node.set_context("hpo:values", settings["values"])
        self.node.set_context("hpo:quotas", settings["quotas"])
        self.node.set_context("hpo:tracing", production)
        for folder in sorted(path for path in TEAMS.iterdir() if path.is_dir()):
            stack = TuningStack(
                self,
                folder.name.title(),
                templates=folder,
                description=f"Tuning jobs of team {folder.name}",
                tags={"team": folder.name, "environment": id.lower()},
                termination_protection=production,
                removal_policy=RemovalPolicy.RETAIN if production else RemovalPolicy.DESTROY,
            )
            if production:
                watch(stack)


def watch(stack: TuningStack) -> None:
    """A dashboard for the team; its topic is told of every run's end and of alarms."""
    TuningDashboard(stack, "Dashboard", jobs=list(stack.jobs.values()))
    topic = None
    for name, job in stack.jobs.items():
        topic = TuningNotifications(stack, f"Notify-{name}", job=job, topic=topic).topic
        TuningAlarms(stack, f"Watch-{name}", job=job, stalled_after=Duration.hours(12), topic=topic)


app = App()
for environment, settings in app.node.get_context("environments").items():
    TuningStage(app, environment, settings=settings)
app.synth()
