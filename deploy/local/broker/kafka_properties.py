"""The configuration of the local broker: one process that is broker and controller, for one machine."""

from pathlib import Path

from deploy.local.ports import HOST

NODE_ID = 1


def server_properties(port: int, controller_port: int, log_dir: Path) -> str:
    """The text of server.properties. The log directory stays the same over restarts; the ports may change."""
    properties = {
        "process.roles": "broker,controller",
        "node.id": NODE_ID,
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.quorum.voters": f"{NODE_ID}@{HOST}:{controller_port}",
        "log.dirs": log_dir,
        "auto.create.topics.enable": "false",
        # One broker can keep one copy. Few partitions of the internal topics: each costs time at the start.
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 5,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 5,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        # Do not wait for more members before the first member of a group gets its partitions.
        "group.initial.rebalance.delay.ms": 0,
        # A year: after the default of 7 days a group that was away would lose its offsets.
        "offsets.retention.minutes": 525_600,
        # After a kill -9 the controller takes the broker for alive this long, and lets it register only then.
        "broker.session.timeout.ms": 2_000,
        "broker.heartbeat.interval.ms": 500,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
    }
    return "".join(f"{name}={value}\n" for name, value in properties.items())
