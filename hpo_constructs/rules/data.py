"""Rules about data: the channels that a training job reads, and where its models and checkpoints go."""

import re
from collections.abc import Iterator

from ..spec.declaration import Path
from .builtins import trainer_of
from .finding import Severity
from .instances import node_count
from .job import Definition, Job, Structure, is_unknown, settled
from .missing import is_missing
from .quota_text import quota_fix
from .registry import API, GUIDE, Problem, rule

CHANNELS = 20
CHANNEL_NAME_LENGTH = 64
S3_URI_LENGTH = 1024
_CHANNEL_NAME = re.compile(r"[A-Za-z0-9.\-_]+")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]")
# Buckets of us-east-1 from before March 2018 may still have such a name.
_OLD_BUCKET = re.compile(r"[A-Za-z0-9._\-]{3,255}")
_IP_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}")
_ACCESS_POINT = re.compile(r"arn:aws[a-z\-]*:s3[a-z\-]*:[a-z0-9\-]*:\d{12}:.+")
_KMS_KEY = re.compile(
    r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|mrk-[0-9a-fA-F]{32}|alias/[a-zA-Z0-9/_\-]+"
    r"|arn:aws[a-z\-]*:kms:[a-z0-9\-]+:\d{12}:(key|alias)/[a-zA-Z0-9/_\-]+"
)
_LUSTRE_PATH = re.compile(r"/[A-Za-z0-9_\-]{1,8}(/.*)?")
_SOURCES = ("S3DataSource", "FileSystemDataSource", "DatasetSource")


def channels_of(definition: Definition) -> tuple[Structure, ...]:
    """The channels of a definition."""
    return definition.structures("InputDataConfig")


def input_mode(definition: Definition, channel: Structure) -> str | None:
    """The input mode that holds for a channel: its own, or the algorithm's."""
    return channel.text("InputMode") or definition.algorithm.text("TrainingInputMode")


@rule(
    "channels",
    title="a definition has 1 to 20 channels with distinct names of letters, digits, dots, hyphens and underscores",
    severity=Severity.ERROR,
    reason=(
        "the container finds each channel in the folder of its name, so two of a name would be one; the API takes at "
        "most 20, and the documented quota is the same"
    ),
    source=f"{API}API_Channel.html",
    passes="training_job_definition: {input_data_config: {extra.data-1: {s3_uri: s3://example-data/extra/}}}",
    fails="training_job_definition: {input_data_config: {extra/data: {s3_uri: s3://example-data/extra/}}}",
)
def channels(job: Job) -> Iterator[Problem]:
    """Count the channels and compare their names."""
    list_name, name_name = job.spell("InputDataConfig"), job.spell("ChannelName")
    for definition in job.definitions:
        raw = definition.raw.get("InputDataConfig")
        if isinstance(raw, list | tuple):
            yield from _channel_count(job, definition.path("InputDataConfig"), list_name, len(raw))
        seen: set[str] = set()
        for channel in channels_of(definition):
            name = channel.text("ChannelName")
            if name is None or is_unknown(name):
                continue
            path = channel.path("ChannelName")
            if not 1 <= len(name) <= CHANNEL_NAME_LENGTH:
                yield Problem(
                    path,
                    f"{name_name} must have 1 to {CHANNEL_NAME_LENGTH} characters, got {len(name)}",
                    f"shorten {name_name}" if name else f"give {name_name} a value such as train",
                )
            elif not _CHANNEL_NAME.fullmatch(name):
                yield Problem(
                    path,
                    f"{name_name} must be letters, digits, dots, hyphens and underscores, got {name!r}",
                    f"write {re.sub('[^A-Za-z0-9._-]+', '-', name)}",
                )
            elif name in seen:
                yield Problem(
                    path,
                    f"{name_name} must be unique in {list_name}, got {name!r} twice",
                    "give one of the two channels another name",
                )
            seen.add(name)


def _channel_count(job: Job, path: Path, spelled: str, count: int) -> Iterator[Problem]:
    if not 1 <= count <= CHANNELS:
        yield Problem(
            path,
            f"{spelled} must have 1 to {CHANNELS} channels, got {count}",
            f"leave {spelled} out for an algorithm without input" if not count else "put several prefixes into one",
        )
    elif count > job.quotas.channels:
        yield Problem(
            path,
            f"{spelled} must have at most {job.quotas.channels} channels by the account's quota, got {count}",
            quota_fix(f"lower {spelled} to {job.quotas.channels} channels or fewer", "channels", count),
            Severity.QUOTA,
        )


@rule(
    "channel-source",
    title="a channel has exactly one data source",
    severity=Severity.ERROR,
    reason="a channel's data comes from one place: S3, a file system or a hub's data set; none or several are refused",
    source=f"{API}API_DataSource.html",
    passes="training_job_definition: {input_data_config: {extra: {s3_uri: s3://example-data/extra/}}}",
    fails="training_job_definition: {input_data_config: {extra: {data_source: {}}}}",
)
def channel_source(job: Job) -> Iterator[Problem]:
    """Count the sources of each channel."""
    sources = [job.spell(name) for name in _SOURCES]
    for definition in job.definitions:
        for channel in channels_of(definition):
            source = channel.structure("DataSource")
            if not source.present:
                continue
            given = [job.spell(name) for name in _SOURCES if name in source.raw]
            if len(given) > 1:
                yield Problem(
                    source.place,
                    f"{job.spell('DataSource')} must have exactly one of {', '.join(sources)}, "
                    f"got {' and '.join(given)}",
                    f"remove {' or '.join(given)}",
                )
            elif not given and all(is_missing(job, source, name) for name in _SOURCES):
                yield Problem(
                    source.place,
                    f"{job.spell('DataSource')} must have exactly one of {', '.join(sources)}, got none",
                    f"add {sources[0]} with {job.spell('S3Uri')}",
                )


@rule(
    "channels-needed",
    title="a built-in algorithm has the channels that it needs",
    severity=Severity.WARNING,
    reason=(
        "a built-in algorithm that misses a required channel fails in its first seconds, and one without the channel "
        "that its objective is measured on never reports the objective, so every training job fails"
    ),
    source=f"{GUIDE}common-info-all-im-models.html",
    passes="name: churn",
    fails="training_job_definition: {input_data_config: {validation: null}}",
)
def channels_needed(job: Job) -> Iterator[Problem]:
    """Compare the channels with those of the catalog and with the objective's prefix."""
    for definition in job.definitions:
        trainer = trainer_of(definition)
        algorithm = trainer.builtin
        raw = definition.raw.get("InputDataConfig", [])
        if algorithm is None or trainer.script_mode or not isinstance(raw, list | tuple):
            continue
        if "InputDataConfig" not in definition.raw and not is_missing(job, definition, "InputDataConfig"):
            continue
        given = {channel.text("ChannelName") for channel in channels_of(definition)}
        if any(is_unknown(name) for name in given):
            continue
        augmented = any(
            _s3(channel).text("S3DataType") == "AugmentedManifestFile" for channel in channels_of(definition)
        )
        needed = {
            channel.name: f"{algorithm.title} needs it"
            for channel in algorithm.channels
            if channel.required
            and given.isdisjoint({channel.name, *channel.aliases})
            # An augmented manifest carries the annotations with the data.
            and not (augmented and channel.name.endswith("_annotation"))
        }
        metric = definition.objective.text("MetricName") or ""
        measured_on = metric.partition(":")[0]
        if metric in algorithm.objective_metrics and measured_on in {"validation", "test"} - given:
            needed.setdefault(measured_on, f"the objective {metric} is measured on it")
        for name, why in needed.items():
            yield Problem(
                definition.path("InputDataConfig"),
                f"{job.spell('InputDataConfig')} should have a channel {name}, because {why}; "
                f"got {', '.join(sorted(filter(None, given))) or 'none'}",
                f"add a channel {name}",
            )


@rule(
    "s3-uri",
    title="an S3 URI is s3://bucket/… or https://…, up to 1,024 characters, with a valid bucket name",
    severity=Severity.ERROR,
    reason=(
        "the API's pattern lets any text between the slashes pass for a bucket; S3 does not, and the job fails after "
        "it was created; a name with capitals or underscores is a warning, because buckets of us-east-1 from before "
        "March 2018 may have one"
    ),
    source="https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html",
    passes="training_job_definition: {output_data_config: {s3_output_path: 's3://models-${AWS::AccountId}/churn'}}",
    fails="training_job_definition: {output_data_config: {s3_output_path: example-models/churn}}",
)
def s3_uri(job: Job) -> Iterator[Problem]:
    """Check every S3 URI of the definitions."""
    for definition in job.definitions:
        for channel in channels_of(definition):
            yield from _check_s3_uri(job, _s3(channel), "S3Uri")
        yield from _check_s3_uri(job, definition.structure("OutputDataConfig"), "S3OutputPath")
        yield from _check_s3_uri(job, definition.structure("CheckpointConfig"), "S3Uri")


def _check_s3_uri(job: Job, holder: Structure, member: str) -> Iterator[Problem]:
    uri = holder.text(member)
    if uri is None or is_unknown(uri):
        return
    path, spelled, uri = holder.path(member), job.spell(member), settled(uri)
    scheme, separator, rest = uri.partition("://")
    bucket = rest.partition("/")[0]
    if not separator or scheme not in {"s3", "https"} or not bucket or "\n" in uri:
        guess = f"s3://{(rest or uri).lstrip('/')}" if (rest or uri).strip("/") else "s3://bucket/prefix"
        yield Problem(path, f"{spelled} must be an S3 URI such as s3://bucket/prefix, got {uri!r}", f"write {guess}")
    elif len(uri) > S3_URI_LENGTH:
        yield Problem(
            path, f"{spelled} must have at most {S3_URI_LENGTH:,} characters, got {len(uri):,}", f"shorten {spelled}"
        )
    elif scheme == "s3" and not _is_bucket(bucket) and not _ACCESS_POINT.fullmatch(bucket):
        old = _OLD_BUCKET.fullmatch(bucket) is not None and re.search("[A-Z_]", bucket) is not None
        yield Problem(
            path,
            f"the bucket in {spelled} must have 3 to 63 lower-case letters, digits, dots and hyphens, got {bucket!r}",
            "write the bucket's name as S3 shows it",
            Severity.WARNING if old else None,
        )


def _is_bucket(name: str) -> bool:
    return _BUCKET.fullmatch(name) is not None and ".." not in name and not _IP_ADDRESS.fullmatch(name)


def _s3(channel: Structure) -> Structure:
    return channel.structure("DataSource").structure("S3DataSource")


@rule(
    "file-system-needs-vpc",
    title="a file system is reached through the VPC, and its path is absolute",
    severity=Severity.ERROR,
    reason=(
        "EFS and FSx are reachable inside a VPC only; FSx for Lustre is mounted below its mount name, of 1 to 8 "
        "characters, so that a path begins with it: /fsx/data (checked: the SDK's notes on directory_path and the "
        "mount name's pattern)"
    ),
    source=f"{GUIDE}model-access-training-data-fsx.html",
    passes="""
training_job_definition:
  vpc_config: {subnets: [subnet-0123456789abcdef0], security_group_ids: [sg-0123456789abcdef0]}
  input_data_config:
    extra:
      data_source:
        file_system_data_source:
          file_system_id: fs-0123456789abcdef0
          file_system_type: FSxLustre
          file_system_access_mode: ro
          directory_path: /fsx/extra
""",
    fails="""
training_job_definition:
  input_data_config:
    extra:
      data_source:
        file_system_data_source:
          file_system_id: fs-0123456789abcdef0
          file_system_type: EFS
          file_system_access_mode: ro
          directory_path: /extra
""",
)
def file_system_needs_vpc(job: Job) -> Iterator[Problem]:
    """Look for the VPC, and at each path."""
    for definition in job.definitions:
        sources = [
            source
            for channel in channels_of(definition)
            if (source := channel.structure("DataSource").structure("FileSystemDataSource")).present
        ]
        if sources and is_missing(job, definition, "VpcConfig"):
            vpc = job.spell("VpcConfig")
            yield Problem(
                definition.path("VpcConfig"),
                f"{vpc} is required for {job.spell('FileSystemDataSource')}, got none",
                f"add {vpc} with the subnets and security groups of the file system's mount targets",
            )
        for source in sources:
            yield from _directory_path(job, source)


def _directory_path(job: Job, source: Structure) -> Iterator[Problem]:
    path = source.text("DirectoryPath")
    if path is None or is_unknown(path):
        return
    spelled = job.spell("DirectoryPath")
    if not path.startswith("/"):
        yield Problem(
            source.path("DirectoryPath"), f"{spelled} must begin with /, got {path!r}", f"write /{path or 'data'}"
        )
    elif source.text("FileSystemType") == "FSxLustre" and not _LUSTRE_PATH.fullmatch(path):
        yield Problem(
            source.path("DirectoryPath"),
            f"{spelled} of FSxLustre must begin with the mount name, of 1 to 8 letters, digits, hyphens and "
            f"underscores, got {path!r}",
            f"write /MOUNTNAME{path.rstrip('/')} with the name that `aws fsx describe-file-systems` shows",
        )


@rule(
    "augmented-manifest",
    title="an augmented manifest names its attributes and, like RecordIO wrapping, is for Pipe mode",
    severity=Severity.ERROR,
    reason=(
        "the service passes the named attributes in their order, and streams an augmented manifest in Pipe mode only; "
        "in File mode the record wrapper has to stay unset or None (checked: API text of S3DataType and "
        "RecordWrapperType, and the guide's page on augmented manifests)"
    ),
    source=f"{GUIDE}augmented-manifest.html",
    passes="""
training_job_definition:
  input_data_config:
    extra:
      input_mode: Pipe
      record_wrapper_type: RecordIO
      data_source:
        s3_data_source:
          s3_uri: s3://example-data/extra.manifest
          s3_data_type: AugmentedManifestFile
          attribute_names: [source-ref, label]
""",
    fails="""
training_job_definition:
  input_data_config:
    extra:
      input_mode: Pipe
      data_source:
        s3_data_source: {s3_uri: s3://example-data/extra.manifest, s3_data_type: AugmentedManifestFile}
""",
)
def augmented_manifest(job: Job) -> Iterator[Problem]:
    """Check the attributes and the mode of every channel with an augmented manifest."""
    names, mode_name = job.spell("AttributeNames"), job.spell("InputMode")
    for definition in job.definitions:
        for_all = False
        for channel in channels_of(definition):
            source = _s3(channel)
            augmented = source.text("S3DataType") == "AugmentedManifestFile"
            listed = source.raw.get("AttributeNames")
            if augmented and (is_missing(job, source, "AttributeNames") or listed in ([], ())):
                yield Problem(
                    source.path("AttributeNames"),
                    f"{names} is required with AugmentedManifestFile, got none",
                    f"add {names}, such as [source-ref, label], in the order that the algorithm reads",
                )
            elif listed and not augmented and source.text("S3DataType") is not None:
                yield Problem(
                    source.path("AttributeNames"),
                    f"{names} is for AugmentedManifestFile, got {job.spell('S3DataType')} {source.text('S3DataType')}",
                    f"write {job.spell('S3DataType')}: AugmentedManifestFile, or remove {names}",
                    Severity.WARNING,
                )
            mode = input_mode(definition, channel)
            if mode is None or is_unknown(mode):
                continue
            if augmented and mode != "Pipe":
                if "InputMode" in channel:
                    path: Path = channel.path("InputMode")
                elif for_all:
                    continue  # the algorithm's mode is one fault, however many channels it is wrong for
                else:
                    path, for_all = definition.algorithm.path("TrainingInputMode"), True
                yield Problem(
                    path,
                    f"the input mode of an AugmentedManifestFile must be Pipe, got {mode}",
                    f"write {mode_name}: Pipe in the channel, if the algorithm supports it",
                )
            elif channel.text("RecordWrapperType") == "RecordIO" and mode == "File":
                wrapper = job.spell("RecordWrapperType")
                yield Problem(
                    channel.path("RecordWrapperType"),
                    f"{wrapper} must be None in File mode, got RecordIO",
                    f"remove {wrapper}, or write {mode_name}: Pipe",
                )


@rule(
    "sharding-single-node",
    title="ShardedByS3Key needs several instances to have an effect",
    severity=Severity.WARNING,
    reason="sharding gives each of n instances 1/n of the objects; with one instance that is all of them",
    source=f"{API}API_S3DataSource.html",
    passes="""
training_job_definition:
  input_data_config: {train: {s3_data_distribution_type: ShardedByS3Key}}
  resource_config: {instance_count: 2}
""",
    fails="""
training_job_definition:
  input_data_config: {train: {s3_data_distribution_type: ShardedByS3Key}}
  resource_config: {instance_count: 1}
""",
)
def sharding_single_node(job: Job) -> Iterator[Problem]:
    """Compare the distribution with the number of instances."""
    for definition in job.definitions:
        if node_count(definition) != 1:
            continue
        for channel in channels_of(definition):
            source = _s3(channel)
            if source.text("S3DataDistributionType") == "ShardedByS3Key":
                spelled, count = job.spell("S3DataDistributionType"), job.spell("InstanceCount")
                yield Problem(
                    source.path("S3DataDistributionType"),
                    f"{spelled} ShardedByS3Key has no effect with {count} 1",
                    f"remove {spelled}, or raise {count}",
                )


@rule(
    "output-path",
    title="the models have an S3 path to go to, and a KMS key is a key id, ARN or alias",
    severity=Severity.ERROR,
    reason=(
        "without an output path the request is refused; the API's pattern for a KMS key lets any word pass, and the "
        "training jobs then fail when they write"
    ),
    source=f"{API}API_OutputDataConfig.html",
    passes="training_job_definition: {output_data_config: {kms_key_id: alias/models}}",
    fails="training_job_definition: {output_data_config: null}",
)
def output_path(job: Job) -> Iterator[Problem]:
    """Look for the path and at the form of every key."""
    for definition in job.definitions:
        output = definition.structure("OutputDataConfig")
        if is_missing(job, definition, "OutputDataConfig") or (
            output.present and is_missing(job, output, "S3OutputPath")
        ):
            spelled = job.spell("S3OutputPath")
            yield Problem(
                definition.path("OutputDataConfig", "S3OutputPath") if output.present else output.place,
                f"{spelled} is required in {job.spell('OutputDataConfig')}, got none",
                f"add {spelled}, such as s3://bucket/models/",
            )
        yield from _check_key(job, output, "KmsKeyId")
        for form in ("ResourceConfig", "HyperParameterTuningResourceConfig"):
            yield from _check_key(job, definition.structure(form), "VolumeKmsKeyId")


def _check_key(job: Job, holder: Structure, member: str) -> Iterator[Problem]:
    key = holder.text(member)
    # Describe's answer shows an absent key as an empty text, and the API takes one.
    if not key or is_unknown(key) or _KMS_KEY.fullmatch(settled(key)):
        return
    spelled = job.spell(member)
    yield Problem(
        holder.path(member),
        f"{spelled} must be a key id, a key's ARN or an alias such as alias/models, got {key!r}",
        f"write alias/{key}, if that is the alias's name" if re.fullmatch(r"[\w\-]+", key) else f"correct {spelled}",
    )


@rule(
    "checkpoint-path",
    title="checkpoints go to a prefix of their own",
    severity=Severity.WARNING,
    reason=(
        "checkpoints below the output or an input prefix are taken for models or for data: the next training job of "
        "the same channel would read them"
    ),
    source=f"{GUIDE}model-checkpoints.html",
    passes="training_job_definition: {checkpoint_config: {s3_uri: s3://example-checkpoints/churn/}}",
    fails="training_job_definition: {checkpoint_config: {s3_uri: s3://example-models/churn/checkpoints/}}",
)
def checkpoint_path(job: Job) -> Iterator[Problem]:
    """Compare the checkpoints' prefix with those of the output and the channels."""
    for definition in job.definitions:
        checkpoints = definition.structure("CheckpointConfig")
        uri = checkpoints.text("S3Uri")
        if not uri or is_unknown(uri):
            continue
        output = definition.structure("OutputDataConfig").text("S3OutputPath")
        inputs = {
            prefix: f"channel {channel.text('ChannelName')}"
            for channel in channels_of(definition)
            if _s3(channel).text("S3DataType") == "S3Prefix" and (prefix := _s3(channel).text("S3Uri"))
        }
        prefixes = ({f"{output.rstrip('/')}/": job.spell("S3OutputPath")} if output else {}) | inputs
        for prefix, name in prefixes.items():
            # An input is a plain prefix of keys: s3://bucket/train takes s3://bucket/train-checkpoints, too.
            if not is_unknown(prefix) and f"{uri.rstrip('/')}/".startswith(prefix):
                yield Problem(
                    checkpoints.path("S3Uri"),
                    f"{job.spell('S3Uri')} of {job.spell('CheckpointConfig')} should not be inside that of {name}, "
                    f"got {uri} inside {prefix}",
                    "give the checkpoints a prefix of their own",
                )
                break
