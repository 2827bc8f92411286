"""Training images: made for every region, recognised from anywhere."""

import subprocess
import sys
from functools import cache
from itertools import product

import pytest

from hpo_constructs.catalog import (
    builtin,
    builtin_names,
    image_uri,
    image_versions,
    recognise,
    recognise_algorithm_name,
)
from hpo_constructs.catalog._data import load
from hpo_constructs.errors import CatalogError

FRAMEWORKS = ("autogluon", "chainer", "mxnet", "pytorch", "sklearn", "tensorflow")
OWN_IMAGE = tuple(name for name in builtin_names() if builtin(name).own_image)


def regions(name: str, version: str) -> list[str]:
    """The regions in which a version is published, read from the data by another way than the module's."""
    data = load("image-uris")
    entry = (data["algorithms"] | data["frameworks"])[name]["versions"][version][-1]
    return list(data["registries"][entry["registry"]])


def instance_types(name: str, version: str) -> list[str | None]:
    data = load("image-uris")
    entry = (data["algorithms"] | data["frameworks"])[name]["versions"][version][-1]
    types = {"cpu": "ml.m5.xlarge", "gpu": "ml.p3.2xlarge"}
    return [types[processor] for processor in entry.get("processors", [])] or [None]


def everything(names: tuple[str, ...]) -> list[tuple[str, str, str, str | None]]:
    return [
        (name, version, region, instance)
        for name in names
        for version in image_versions(name)
        for region, instance in product(regions(name, version), instance_types(name, version))
    ]


def test_algorithms_with_an_image_of_their_own_are_those_of_the_data():
    assert set(OWN_IMAGE) == set(load("image-uris")["algorithms"])


@pytest.mark.parametrize("name", [*OWN_IMAGE, *FRAMEWORKS])
def test_every_uri_is_recognised(name):
    combinations = everything((name,))
    assert len(combinations) >= 16
    for _, version, region, instance in combinations:
        uri = image_uri(name, region, version, instance)
        found = recognise(uri)
        assert found is not None, uri
        assert (found.name, found.version, found.region) == (name, version, region), uri
        assert found.kind == ("algorithm" if name in OWN_IMAGE else "framework")
        assert found.account_known
        assert found.registry_fits is True, uri
        assert found.moving == (version in {"1", "latest"})


def test_uris_by_hand():
    assert image_uri("xgboost", "us-west-2", "1") == "433757028032.dkr.ecr.us-west-2.amazonaws.com/xgboost:1"
    assert image_uri("xgboost", "us-west-2", "latest").endswith("/xgboost:latest")
    assert (
        image_uri("xgboost", "eu-west-1", "1.0-1")
        == "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:1.0-1-cpu-py3"
    )
    assert image_uri("kmeans", "us-east-1") == "382416733822.dkr.ecr.us-east-1.amazonaws.com/kmeans:1"
    assert image_uri("kmeans", "us-east-1", "latest").endswith("/kmeans:1")
    assert image_uri("linear-learner", "cn-north-1").startswith("390948362332.dkr.ecr.cn-north-1.amazonaws.com.cn/")
    assert ".dkr.ecr.us-iso-east-1.c2s.ic.gov/" in image_uri("linear-learner", "us-iso-east-1")
    assert (
        image_uri("pytorch", "us-east-1", "2.1", "ml.g5.xlarge")
        == "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.1-gpu-py310"
    )


def test_the_newest_version_is_the_last():
    assert image_versions("xgboost")[0] == "0.90-1"
    assert image_versions("xgboost")[-1] == "3.0-5"
    assert image_uri("xgboost", "us-east-1").endswith(":3.0-5")
    assert image_versions("pytorch").index("1.9.1") < image_versions("pytorch").index("1.10.2")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("xgbost", "us-east-1"), "'xgbost' has no training image in the catalog, did you mean xgboost"),
        (("xgboost", "us-est-1"), "region 'us-est-1' has no image of xgboost 3.0-5, did you mean us-"),
        (("lda", "eu-north-1"), r"region 'eu-north-1' has no image of lda 1, .*allowed: .*us-east-1"),
        (("xgboost", "us-east-1", "9.9-9"), r"version '9.9-9' of xgboost .*allowed: latest, 0.90-1, .*3.0-5"),
        (("pytorch", "us-east-1"), "one image for each of cpu, gpu: give instance_type"),
        (("pytorch", "us-east-1", "2.1", "m5"), "instance_type 'm5' is not an instance type"),
        (("pytorch", "us-east-1", "2.1", "ml.trn1.2xlarge"), r"no image for ml.trn1.2xlarge \(trn\)"),
        (("sklearn", "us-east-1", "1.2-1", "ml.p3.2xlarge"), r"no image for ml.p3.2xlarge \(gpu\), only for cpu"),
    ],
)
def test_errors_name_the_value_and_what_is_allowed(arguments, message):
    with pytest.raises(CatalogError, match=message):
        image_uri(*arguments)


XGBOOST = "sagemaker-xgboost:1.7-1"
US_EAST = "683313688378.dkr.ecr.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    "uri",
    [
        f"683313688378.dkr.ecr.${{AWS::Region}}.amazonaws.com/{XGBOOST}",
        f"683313688378.dkr.ecr.${{AWS::Region}}.${{AWS::URLSuffix}}/{XGBOOST}",
        f"${{Token[TOKEN.17]}}.dkr.ecr.${{Token[AWS.Region.4]}}.${{Token[AWS.URLSuffix.6]}}/{XGBOOST}",
        f"${{Registry}}/{XGBOOST}",
        XGBOOST,
    ],
)
def test_placeholders_leave_the_region_open(uri):
    found = recognise(uri)
    assert (found.name, found.version, found.region, found.registry_fits) == ("xgboost", "1.7-1", None, None)
    assert not found.moving


def test_a_placeholder_in_the_tag():
    open_tag = recognise(f"{US_EAST}/sagemaker-xgboost:${{Version}}")
    assert (open_tag.name, open_tag.tag, open_tag.version, open_tag.moving) == ("xgboost", None, None, False)
    assert open_tag.registry_fits is True
    suffix = recognise("763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.1-${Processor}-py310")
    assert (suffix.version, suffix.tag) == ("2.1.0", None)


def test_a_repository_that_is_a_placeholder_is_not_recognised():
    assert recognise("${Token[TOKEN.3]}") is None
    assert recognise(f"{US_EAST}/${{Repository}}:1.7-1") is None


@pytest.mark.parametrize(
    ("uri", "account_known", "fits"),
    [
        (f"{US_EAST}/{XGBOOST}", True, True),
        (f"683313688378.dkr.ecr.us-west-2.amazonaws.com/{XGBOOST}", True, False),
        # The account of other algorithms in that region
        (f"382416733822.dkr.ecr.us-east-1.amazonaws.com/{XGBOOST}", True, False),
        (f"123456789012.dkr.ecr.us-east-1.amazonaws.com/mirror/{XGBOOST}", False, None),
        (f"683313688378.dkr.ecr-fips.us-east-1.amazonaws.com/{XGBOOST}", True, True),
        (f"registry.example.com:5000/ml/{XGBOOST}", False, None),
    ],
)
def test_registries(uri, account_known, fits):
    found = recognise(uri)
    assert (found.name, found.version) == ("xgboost", "1.7-1")
    assert (found.account_known, found.registry_fits) == (account_known, fits)


@pytest.mark.parametrize(
    ("end", "moving", "pinnable"),
    [
        ("sagemaker-xgboost:1.7-1", False, True),
        ("xgboost:1", True, True),
        ("xgboost:latest", True, True),
        ("xgboost", True, True),
        ("kmeans:1", True, False),
        ("kmeans@sha256:" + "0" * 64, False, False),
        ("kmeans:1@sha256:" + "0" * 64, False, False),
    ],
)
def test_moving_tags(end, moving, pinnable):
    found = recognise(f"{US_EAST}/{end}")
    assert (found.moving, found.pinnable) == (moving, pinnable)


@pytest.mark.parametrize(
    ("repository", "name"),
    [
        ("huggingface-pytorch-training:2.0.0-transformers4.28.1-gpu-py310-cu118-ubuntu20.04", "huggingface"),
        ("sagemaker-scikit-learn:1.2-1-cpu-py3", "sklearn"),
        ("sagemaker-rl-ray-container:ray-1.6.0-torch-gpu-py36", "ray-pytorch"),
    ],
)
def test_frameworks_are_recognised_by_their_repository(repository, name):
    found = recognise(f"763104351884.dkr.ecr.us-east-1.amazonaws.com/{repository}")
    assert (found.kind, found.name) == ("framework", name)


@pytest.mark.parametrize("uri", ["", "nginx:1.27", "123456789012.dkr.ecr.us-east-1.amazonaws.com/my-xgboost:1", "///"])
def test_other_images_are_not_recognised(uri):
    assert recognise(uri) is None


def test_algorithm_names():
    product_arn = (
        "arn:aws:sagemaker:us-east-1:865070037744:algorithm/"
        "scikit-decision-trees-15423055-57b73412d2e93e9239e4e16f83298b8f"
    )
    found = recognise_algorithm_name(product_arn)
    assert (found.account, found.region, found.marketplace) == ("865070037744", "us-east-1", True)
    own = recognise_algorithm_name("arn:aws-cn:sagemaker:cn-north-1:123456789012:algorithm/mine")
    assert (own.name, own.account, own.marketplace) == ("mine", "123456789012", False)
    assert recognise_algorithm_name("mine").account is None
    open_arn = recognise_algorithm_name("arn:${AWS::Partition}:sagemaker:${AWS::Region}:${AWS::AccountId}:algorithm/a")
    assert (open_arn.name, open_arn.region, open_arn.account) == ("a", None, None)


def test_import_brings_neither_the_cdk_nor_aws_clients_nor_pydantic():
    code = (
        "import sys; import hpo_constructs.catalog as c; c.recognise('xgboost:1'); c.builtin('xgboost');"
        "print([m for m in ('aws_cdk', 'jsii', 'boto3', 'botocore', 'pydantic', 'difflib') if m in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


@pytest.mark.filterwarnings("ignore")
def test_the_sdk_gives_the_same_uris(monkeypatch):
    image_uris = pytest.importorskip("sagemaker.image_uris")
    # The SDK reads its files and botocore's endpoints anew for every URI, which would take ten minutes.
    monkeypatch.setattr(image_uris, "config_for_framework", cache(image_uris.config_for_framework))
    monkeypatch.setattr(image_uris.utils, "_botocore_resolver", cache(image_uris.utils._botocore_resolver))
    for name, version, region, instance in everything((*OWN_IMAGE, *FRAMEWORKS)):
        data = load("image-uris")
        entry = (data["algorithms"] | data["frameworks"])[name]["versions"][version][-1]
        theirs = image_uris.retrieve(
            name,
            region,
            version=version,
            instance_type=instance,
            image_scope="training",
            py_version=(entry.get("python") or [None])[-1],
        )
        assert image_uri(name, region, version, instance) == theirs
