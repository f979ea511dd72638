"""One Apache Kafka broker (KRaft, broker and controller in one) as a child process of the tests."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

POM = Path(__file__).parent / "pom.xml"
START_S_MAX = 90
CLUSTER = "aXNvdGhlcm0tdGVzdHMtMQ"  # 16 bytes in base64, as Kafka wants a cluster id

# A killed broker may register again once its session is over: with the default of 9 s a restart takes that.
PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
auto.create.topics.enable=false
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.dirs={folder}/data
"""


class Broker:
    """Keeps its port and data over `kill` and `start`; `servers` is its address for clients."""

    def __init__(self, jars: Path, folder: Path) -> None:
        port, controller = _free_ports(2)
        self.servers = f"127.0.0.1:{port}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._java = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
        self._java += ["-cp", f"{jars}/*"]
        self._properties = folder / "server.properties"
        self._properties.write_text(PROPERTIES.format(port=port, controller=controller, folder=folder))
        self._format()

    def start(self) -> None:
        """Return when the broker answers."""
        with (self._folder / "broker.log").open("ab") as log:
            command = [*self._java, "kafka.Kafka", str(self._properties)]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        admin = AdminClient({"bootstrap.servers": self.servers, "log_level": 0})
        deadline = time.monotonic() + START_S_MAX
        while not self._answers(admin):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                last = (self._folder / "broker.log").read_text(errors="replace")[-3000:]
                raise RuntimeError(f"the Kafka broker did not start; the end of its log:\n{last}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _format(self) -> None:
        tool = [*self._java, "kafka.tools.StorageTool", "format", "--standalone"]
        subprocess.run([*tool, "-t", CLUSTER, "-c", str(self._properties)], check=True, capture_output=True)

    @staticmethod
    def _answers(admin: AdminClient) -> bool:
        try:
            return bool(admin.list_topics(timeout=1).brokers)
        except KafkaException:
            return False


def missing_tools() -> list[str]:
    """What a broker needs and this machine lacks."""
    return [tool for tool in ("java", "mvn") if shutil.which(tool) is None]


def fetched_jars() -> Path:
    """The folder of jars, fetched by Maven the first time and kept in the user's cache."""
    found = re.search(r"<kafka\.version>(.+)</kafka\.version>", POM.read_text())
    assert found is not None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "isotherm-tests"
    jars = cache / f"kafka-{found[1]}"
    if not jars.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            _fetch(Path(folder) / "jars")
            try:
                (Path(folder) / "jars").rename(jars)  # in one step: a folder that is there is complete
            except OSError:
                if not jars.is_dir():  # else another run was first
                    raise
    return jars


def _fetch(folder: Path) -> None:
    maven = ["mvn", "--batch-mode", "--quiet", "-f", str(POM)]
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}", "-DincludeScope=runtime"]
    done = subprocess.run([*maven, *goal], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(
            f"mvn could not fetch the jars of the Kafka broker:\n{(done.stdout + done.stderr)[-3000:]}"
        )


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports
