"""Training images: the URI of a built-in algorithm, and the algorithm behind a URI.

The facts are those of the SageMaker Python SDK (`image_uri_config`). AWS lists them by region at
https://docs.aws.amazon.com/sagemaker/latest/dg-ecr-paths/sagemaker-algo-docker-registry-paths.html
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from ..errors import CatalogError
from ._data import load, suggestion
from .instances import instance_type as instance_facts

_DEFAULT_DOMAIN = "amazonaws.com"
# The tags that AWS points at newer images as it publishes them.
_MOVING_TAGS = frozenset({"1", "latest"})
# What a placeholder becomes while a URI is taken apart: a character that no URI holds.
_HOLE = "\x00"
_PLACEHOLDER = re.compile(r"\$\{[^{}]*\}")
_REGISTRY = re.compile(r"(?P<account>[^.]+)\.dkr[.-]ecr(?:-fips)?\.(?P<region>[^.]+)\.(?P<domain>.+)")
# Rarely met: left to re's own cache, so that an import does not pay for compiling them.
_ALGORITHM_ARN = r"arn:[^:]+:sagemaker:(?P<region>[^:]*):(?P<account>[^:]*):algorithm/(?P<name>.+)"
# Names of Marketplace algorithms end with the product's hash.
_MARKETPLACE_NAME = r".+-[0-9a-f]{32}"


@dataclass(frozen=True, slots=True)
class RecognisedImage:
    """What a training image's URI says.

    Attributes:
        name: The built-in algorithm or the framework, as the SageMaker Python SDK names it.
        kind: Which of the two it is.
        repository: The repository's last path segment.
        tag: The tag; None without one, or where it is a placeholder.
        digest: The digest, such as `sha256:…`, or None.
        version: The algorithm's or framework's version that the tag states, or None.
        account: The registry's account; None where the URI has a placeholder or no ECR registry.
        region: The registry's region; None as above.
        account_known: Whether the account is one that AWS publishes images from. Otherwise the image is a mirror, or
            somebody's own image of the same name.
        registry_fits: Whether AWS publishes this image from that account in that region; None where one of the two
            is not known, or the account is not AWS's.
        moving: Whether the URI can name another image tomorrow: the tag `latest` or `1`, or none at all, and no
            digest.
        pinnable: Whether the catalog has a version to pin instead of a moving tag.
    """

    name: str
    kind: Literal["algorithm", "framework"]
    repository: str
    tag: str | None
    digest: str | None
    version: str | None
    account: str | None
    region: str | None
    account_known: bool
    registry_fits: bool | None
    moving: bool
    pinnable: bool


@dataclass(frozen=True, slots=True)
class AlgorithmReference:
    """What an `AlgorithmName` of a request says.

    Attributes:
        name: The algorithm resource's name.
        region: The ARN's region; None for a bare name or a placeholder.
        account: The ARN's account; None for a bare name or a placeholder.
        marketplace: Whether it is a product of AWS Marketplace, told by the hash that ends its name; False for a
            bare name, which is one of the account's own.
    """

    name: str
    region: str | None
    account: str | None
    marketplace: bool


def _versions(name: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The image entries of an algorithm or framework by version, and its version aliases."""
    data = load("image-uris")
    facts = data["algorithms"].get(name) or data["frameworks"].get(name)
    if facts is None:
        names = [*data["algorithms"], *data["frameworks"]]
        raise CatalogError(
            f"algorithm {name!r} has no training image in the catalog{suggestion(name, names)} "
            f"(allowed: {', '.join(names)})"
        )
    return facts["versions"], facts.get("aliases", {})


def image_versions(algorithm: str) -> tuple[str, ...]:
    """The versions of an algorithm's training image, the newest last.

    Raises:
        CatalogError: The algorithm has no image of its own.
    """
    return tuple(sorted(_versions(algorithm)[0], key=_version_key))


def check_version(algorithm: str, version: str) -> None:
    """Do nothing where the algorithm has an image of that version.

    Raises:
        CatalogError: It has none, or has no image of its own.
    """
    _image(algorithm, version)


def _image(algorithm: str, version: str) -> tuple[str, dict[str, Any]]:
    """The version as the tag states it, and the image's entry."""
    versions, aliases = _versions(algorithm)
    if version == "latest" and len(versions) == 1:
        # As in the SDK: an algorithm of a single version is that version's.
        version = next(iter(versions))
    entries = versions.get(aliases.get(version, version))
    if entries is None:
        allowed = [*aliases, *image_versions(algorithm)]
        raise CatalogError(
            f"version {version!r} of {algorithm} is not in the catalog{suggestion(version, allowed)} "
            f"(allowed: {', '.join(allowed)})"
        )
    return version, entries[-1]


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _processor(name: str, version: str, processors: list[str], instance_type: str | None) -> str | None:
    """The processor that a tag names: None where tags name none."""
    if not processors:
        return None
    if instance_type is None:
        if len(processors) == 1:
            return processors[0]
        raise CatalogError(
            f"{name} {version} has one image for each of {', '.join(processors)}: give instance_type to choose"
        )
    facts = instance_facts(instance_type)
    if facts is None:
        raise CatalogError(f"instance_type {instance_type!r} is not an instance type such as ml.m5.xlarge")
    wanted = "gpu" if facts.gpu else facts.accelerator or "cpu"
    if wanted not in processors:
        raise CatalogError(
            f"{name} {version} has no image for {instance_type} ({wanted}), only for {', '.join(processors)}"
        )
    return wanted


def image_uri(algorithm: str, region: str, version: str | None = None, instance_type: str | None = None) -> str:
    """The URI of a training image.

    Args:
        algorithm: A built-in algorithm with an image of its own, or one of the frameworks autogluon, chainer, mxnet,
            pytorch, sklearn and tensorflow, named as in the SageMaker Python SDK.
        region: The region to pull from.
        version: The version, or `latest` where the SDK knows it. Without one: the newest.
        instance_type: Chooses between a framework's CPU and GPU image. Without one: the only image there is.

    Where an image exists for several versions of Python, the newest is taken.

    Raises:
        CatalogError: The algorithm, the version or the region is unknown, or the instance type does not choose.
    """
    chosen = image_versions(algorithm)[-1] if version is None else version
    chosen, entry = _image(algorithm, chosen)
    registry = load("image-uris")["registries"][entry["registry"]]
    account = registry.get(region)
    if account is None:
        raise CatalogError(
            f"region {region!r} has no image of {algorithm} {chosen}{suggestion(region, registry)} "
            f"(allowed: {', '.join(sorted(registry))})"
        )
    processor = _processor(algorithm, chosen, entry.get("processors", []), instance_type)
    python = entry.get("python", [])
    tag = "-".join(part for part in (entry.get("prefix") or chosen, processor, python[-1] if python else None) if part)
    return f"{account}.dkr.ecr.{region}.{_domain(region)}/{entry['repository']}:{tag}"


def _domain(region: str) -> str:
    return str(load("image-uris")["domains"].get(region, _DEFAULT_DOMAIN))


@dataclass(frozen=True, slots=True)
class _Publication:
    """One repository of an algorithm or framework: its versions, and the registries of each."""

    name: str
    kind: Literal["algorithm", "framework"]
    pinnable: bool
    prefixes: Mapping[str, str]
    registries: Mapping[str | None, tuple[Mapping[str, str], ...]]


@cache
def _repositories() -> dict[str, list[_Publication]]:
    """Every training repository with what is published in it."""
    data = load("image-uris")
    found: dict[str, list[_Publication]] = {}
    kinds: tuple[tuple[Literal["algorithm", "framework"], str], ...] = (
        ("algorithm", "algorithms"),
        ("framework", "frameworks"),
    )
    for kind, key in kinds:
        for name, facts in data[key].items():
            pinnable = any(version not in _MOVING_TAGS for version in facts["versions"])
            aliases: dict[str, list[str]] = {}
            for alias, version in facts.get("aliases", {}).items():
                aliases.setdefault(version, []).append(alias)
            prefixes: dict[str, dict[str, str]] = {}
            registries: dict[str, dict[str | None, tuple[Mapping[str, str], ...]]] = {}
            for version, entries in facts["versions"].items():
                for entry in entries:
                    repository = entry["repository"]
                    for spelling in (version, *aliases.get(version, ())):
                        prefixes.setdefault(repository, {})[entry.get("prefix") or spelling] = version
                    table = data["registries"][entry["registry"]]
                    known = registries.setdefault(repository, {})
                    known[version] = (*known.get(version, ()), table)
                    if table not in known.get(None, ()):
                        known[None] = (*known.get(None, ()), table)
            for repository, spellings in prefixes.items():
                found.setdefault(repository, []).append(
                    _Publication(name, kind, pinnable, spellings, registries[repository])
                )
    for name, pairs in data["recognised"].items():
        for repository in dict.fromkeys(repository for repository, _ in pairs):
            tables = tuple(data["registries"][number] for other, number in pairs if other == repository)
            found.setdefault(repository, []).append(_Publication(name, "framework", False, {}, {None: tables}))
    return found


@cache
def _publishers() -> frozenset[str | None]:
    """The accounts that AWS publishes training images from."""
    return frozenset(account for table in load("image-uris")["registries"] for account in table.values())


def _version_of(tag: str, prefixes: Mapping[str, str]) -> str | None:
    """The version that a tag begins with: the longest that fits."""
    fits = [prefix for prefix in prefixes if tag == prefix or tag.startswith(f"{prefix}-")]
    return prefixes[max(fits, key=len)] if fits else None


def _whole(text: str | None) -> str | None:
    """The text where it holds no placeholder, else None."""
    return None if text is None or _HOLE in text else text


def recognise(image_uri: str) -> RecognisedImage | None:
    """What is known of a training image's URI; None when it is neither a built-in algorithm nor a known framework.

    An image is known by the last segment of its repository and by its tag, so that URIs in every region and
    partition, in private mirrors, and with placeholders (`${AWS::Region}`, CDK tokens) are recognised.
    """
    text = _PLACEHOLDER.sub(_HOLE, image_uri)
    host, _, path = text.rpartition("/") if "/" in text else ("", "", text)
    path, _, digest = path.partition("@")
    repository, _, tag = path.partition(":")
    publications = _repositories().get(repository)
    if publications is None:
        return None

    known_tag = _whole(tag) or None
    version, publication = None, publications[0]
    if tag:
        # A tag whose end is a placeholder still states its version where the part before it does.
        readable = tag.partition(_HOLE)[0].rstrip("-") if known_tag is None else tag
        for candidate in publications:
            if (version := _version_of(readable, candidate.prefixes)) is not None:
                publication = candidate
                break

    registry = _REGISTRY.fullmatch(host.partition("/")[0])
    account = _whole(registry["account"]) if registry else None
    region = _whole(registry["region"]) if registry else None
    tables = publication.registries.get(version) or publication.registries[None]
    account_known = account in _publishers()
    fits = any(table.get(region) == account for table in tables) if account_known and region else None
    return RecognisedImage(
        name=publication.name,
        kind=publication.kind,
        repository=repository,
        tag=known_tag,
        digest=_whole(digest) or None,
        version=version,
        account=account,
        region=region,
        account_known=account_known,
        registry_fits=fits,
        moving=not digest and (not tag or tag in _MOVING_TAGS),
        pinnable=publication.pinnable,
    )


def recognise_algorithm_name(name: str) -> AlgorithmReference:
    """What is known of an `AlgorithmName`: a bare name or the ARN of an algorithm resource."""
    arn = re.fullmatch(_ALGORITHM_ARN, _PLACEHOLDER.sub(_HOLE, name))
    if arn is None:
        return AlgorithmReference(name, None, None, marketplace=False)
    return AlgorithmReference(
        name=arn["name"],
        region=_whole(arn["region"]),
        account=_whole(arn["account"]),
        marketplace=re.fullmatch(_MARKETPLACE_NAME, arn["name"]) is not None,
    )
