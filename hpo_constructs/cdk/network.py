"""A VPC of the app as the network of training instances."""

from collections.abc import Sequence

from aws_cdk import Token
from aws_cdk import aws_ec2 as ec2

from ..errors import SpecError
from ..spec.model import VpcConfig


def vpc_config(
    vpc: ec2.IVpc,
    *,
    security_groups: Sequence[ec2.ISecurityGroup],
    vpc_subnets: ec2.SubnetSelection | None = None,
) -> VpcConfig:
    """The `vpc_config` of a training job definition for a VPC.

    The training role that the construct makes may then make network interfaces in these subnets with these security
    groups, and nowhere else. The instances need a way to S3, ECR and CloudWatch Logs, such as a NAT gateway or VPC
    endpoints: https://docs.aws.amazon.com/sagemaker/latest/dg/train-vpc.html

    Args:
        vpc: The VPC.
        security_groups: Security groups of the training instances, 1 to 5. With several instances a training job
            needs one that lets its own members talk to each other.
        vpc_subnets: Which of its subnets, 1 to 16; private ones with a way out without it.

    Raises:
        SpecError: there are no such subnets, or their number is known at deployment only.
    """
    subnets = vpc.select_subnets(
        subnet_type=vpc_subnets.subnet_type if vpc_subnets else ec2.SubnetType.PRIVATE_WITH_EGRESS,
        availability_zones=vpc_subnets.availability_zones if vpc_subnets else None,
        one_per_az=vpc_subnets.one_per_az if vpc_subnets else None,
        subnet_filters=vpc_subnets.subnet_filters if vpc_subnets else None,
        subnet_group_name=vpc_subnets.subnet_group_name if vpc_subnets else None,
        subnets=vpc_subnets.subnets if vpc_subnets else None,
    ).subnet_ids
    if not subnets:
        raise SpecError("the VPC must have at least one subnet of the selection, got none; choose with vpc_subnets")
    if Token.is_unresolved(subnets):
        raise SpecError("the number of subnets must be known at synthesis; name the subnets one by one in vpc_subnets")
    return VpcConfig(
        subnets=tuple(subnets),
        security_group_ids=tuple(group.security_group_id for group in security_groups),
    )
