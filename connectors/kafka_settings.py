"""What the environment says about a Kafka cluster: where it listens is said by the log's address."""

from collections.abc import Mapping

from connectors.log import LogError

PREFIX = "ISOTHERM_KAFKA_"
REPLICATION_FACTOR = PREFIX + "REPLICATION_FACTOR"
SETTINGS = (
    "client.id",
    "message.timeout.ms",
    "sasl.mechanism",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
)


def settings_from(environment: Mapping[str, str]) -> tuple[dict[str, str], int]:
    """Settings of librdkafka, and the replication factor.

    Raises:
        LogError: a variable is unknown, or the replication factor no number; values are not in the message.
    """
    names = {PREFIX + setting.upper().replace(".", "_"): setting for setting in SETTINGS}
    found = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
    factor = found.pop(REPLICATION_FACTOR, "1")
    if not factor.isdecimal() or int(factor) < 1:
        raise LogError(f"expected a number from 1 on in {REPLICATION_FACTOR}")
    if unknown := sorted(found.keys() - names.keys()):
        known = ", ".join([*names, REPLICATION_FACTOR])
        raise LogError(f"expected only {known} in the environment, found {', '.join(unknown)}")
    return {names[name]: value for name, value in found.items()}, int(factor)
