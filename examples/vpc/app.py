"""The template beside this file with a VPC, a key and a bucket that the same app makes."""

from pathlib import Path

from aws_cdk import App, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3

from hpo_constructs.stacks import TuningStack

app = App()
base = Stack(app, "MlBase")
key = kms.Key(base, "Key", enable_key_rotation=True)
logs = s3.Bucket(base, "AccessLogs", enforce_ssl=True, removal_policy=RemovalPolicy.RETAIN)
data = s3.Bucket(base, "Data", encryption_key=key, enforce_ssl=True, server_access_logs_bucket=logs)

# Private subnets without a way to the internet: S3, ECR and CloudWatch Logs are reached through endpoints.
vpc = ec2.Vpc(
    base,
    "Vpc",
    max_azs=2,
    nat_gateways=0,
    subnet_configuration=[ec2.SubnetConfiguration(name="training", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)],
)
vpc.add_flow_log("FlowLog")
vpc.add_gateway_endpoint("S3", service=ec2.GatewayVpcEndpointAwsService.S3)
for name, service in {
    "EcrApi": ec2.InterfaceVpcEndpointAwsService.ECR,
    "EcrDocker": ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
    "Logs": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
    "Monitoring": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_MONITORING,
}.items():
    vpc.add_interface_endpoint(name, service=service)
group = ec2.SecurityGroup(base, "Training", vpc=vpc, description="Training instances")
# The two instances of a training job talk to each other.
group.add_ingress_rule(group, ec2.Port.all_tcp(), "training instances among themselves")

first, second = vpc.isolated_subnets
TuningStack(
    app,
    "Tuning",
    templates=Path(__file__).parent / "breast-cancer.yaml",
    values={
        "PrivateSubnetA": first.subnet_id,
        "PrivateSubnetB": second.subnet_id,
        "TrainingSecurityGroup": group.security_group_id,
        "TrainingKey": key.key_arn,
        # The training role may use the bucket's key too: the bucket is one of the app.
        "DataBucket": data.bucket_name,
    },
)
app.synth()
