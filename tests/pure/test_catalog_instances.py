"""Instance types: what the data says, and what is told of a type that it does not list."""

import botocore.session
import pytest

from hpo_constructs.catalog import instance_type, instance_type_names


def test_the_data_has_the_types_of_the_installed_botocore():
    # When this fails botocore has moved on: scripts/update-instance-types brings the data up to date.
    model = botocore.session.get_session().get_service_model("sagemaker")
    assert set(instance_type_names()) == set(model.shape_for("TrainingInstanceType").enum)


def test_every_listed_type_is_known():
    assert len(instance_type_names()) > 200
    for name in instance_type_names():
        found = instance_type(name)
        assert found.known
        assert found.name == name == f"ml.{found.family}.{found.size}"


@pytest.mark.parametrize(
    ("name", "gpu", "accelerator", "local_storage"),
    [
        ("ml.m5.xlarge", False, None, False),
        ("ml.r5d.xlarge", False, None, True),
        ("ml.c7i-flex.xlarge", False, None, False),
        ("ml.g4dn.xlarge", True, None, True),
        ("ml.g5.xlarge", True, None, True),
        ("ml.p2.xlarge", True, None, None),
        ("ml.p3.2xlarge", True, None, False),
        ("ml.p3dn.24xlarge", True, None, True),
        ("ml.p4d.24xlarge", True, None, True),
        ("ml.p5.48xlarge", True, None, True),
        ("ml.p6-b200.48xlarge", True, None, True),
        ("ml.p6e-gb200.36xlarge", True, None, True),
        ("ml.trn1.2xlarge", False, "trn", True),
    ],
)
def test_facts_of_families(name, gpu, accelerator, local_storage):
    found = instance_type(name)
    assert found.known
    assert (found.gpu, found.accelerator, found.local_storage) == (gpu, accelerator, local_storage)


def test_a_size_that_the_family_does_not_list_keeps_the_facts_of_the_family():
    found = instance_type("ml.g5.96xlarge")
    assert (found.known, found.gpu, found.local_storage) == (False, True, True)


@pytest.mark.parametrize(
    ("name", "gpu", "accelerator"),
    [("ml.p9.48xlarge", True, None), ("ml.inf9.xlarge", False, "inf"), ("ml.x9-flex.xlarge", False, None)],
)
def test_an_unknown_family_is_told_by_its_letters(name, gpu, accelerator):
    found = instance_type(name)
    assert (found.known, found.gpu, found.accelerator, found.local_storage) == (False, gpu, accelerator, None)


@pytest.mark.parametrize("name", ["", "m5.xlarge", "ml.m5", "ml.m5.xlarge ", "ML.m5.xlarge", "ml..xlarge", "ml.m5.x.y"])
def test_what_is_not_formed_like_an_instance_type(name):
    assert instance_type(name) is None
