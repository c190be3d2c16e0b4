"""A SLURM cluster of one node on this machine, with its own keys, ports and folders.

Controller, node daemon and munge are Debian's; nothing of the machine's own configuration is read
or changed. The node has as many processors and as much memory as the tests ask for, whatever the
machine has, and a "GPU" which is /dev/null: SLURM hands it out, PyTorch finds nothing there.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel")
# Seconds after which what is waited for is taken not to come.
PATIENCE = 240

CONFIGURATION = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
TaskProlog={folder}/record_step
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
AccountingStorageType=accounting_storage/none
# A step above its memory is killed; seen every two seconds.
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
# Jobs that are over are told of by squeue, which is all there is without accounting.
MinJobAge=3600
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,batch_sched_delay=0
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MpiDefault=none
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=32000 Gres=gpu:tester:1
PartitionName=cpu Nodes=ALL MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=ALL MaxTime=INFINITE State=UP
"""

# Writes what a step finds in its environment, before it starts.
RECORD_STEP = """#!/bin/sh
echo "$SLURM_JOB_PARTITION $CUDA_VISIBLE_DEVICES" > {folder}/steps/$SLURM_JOB_ID
"""

# Snakemake's executor takes the path of the configuration from the steps that it starts, as it
# stands in /etc on a cluster.
SRUN = """#!/bin/sh
SLURM_CONF={folder}/slurm.conf exec {srun} "$@"
"""


@dataclass(frozen=True)
class Job:
    """A job that the controller knows of; finished ones stay.

    Attributes
    ----------
    rule : rule and wildcards as Snakemake's executor names them
    memory : what it asked for, as squeue writes it
    """

    number: str
    rule: str
    partition: str
    memory: str
    state: str


def why_not_here() -> str | None:
    """Return why no cluster can be started on this machine, None if one can."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"found no {', '.join(missing)}: install the Debian packages slurm-wlm and munge"
    if os.geteuid() != 0:
        return "a node daemon of SLURM has to be started by root"
    return None


def wait_until(condition: Callable[[], object], what: str) -> object:
    """Return what a condition gives once it is true; fail after a while."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.2)
    raise AssertionError(f"waited {PATIENCE} s in vain for {what}")


class SlurmCluster:
    """Daemons and configuration below a folder, whose path must be short: sockets stand in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            "SLURM_CONF": str(folder / "slurm.conf"),
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        }

    def start(self) -> None:
        """Write the configuration, start all daemons and wait until the node is idle."""
        for name in ("state", "spool", "steps", "bin"):
            (self.folder / name).mkdir()
        self._configure()
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(1024))
        munge = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log"}
        files = [f"--{option}={self.folder}/munge.{name}" for option, name in munge.items()]
        self.run("munged", "--force", *files, f"--seed-file={self.folder}/munge.seed")
        self.start_controller()
        self.run("slurmd", "-N", "node")
        wait_until(lambda: "idle" in self.run("sinfo", "--noheader"), "an idle node")

    def _configure(self) -> None:
        host = socket.gethostname().partition(".")[0]
        ports = dict(zip(("controller_port", "node_port"), free_ports(2), strict=True))
        text = CONFIGURATION.format(host=host, folder=self.folder, **ports)
        (self.folder / "slurm.conf").write_text(text)
        (self.folder / "gres.conf").write_text("NodeName=node Name=gpu Type=tester File=/dev/null")
        for path, script in (("record_step", RECORD_STEP), ("bin/srun", SRUN)):
            file = self.folder / path
            file.write_text(script.format(folder=self.folder, srun=shutil.which("srun")))
            file.chmod(0o755)

    def run(self, *command: str) -> str:
        """Run one of SLURM's programs and return what it printed."""
        return subprocess.run(
            command,
            env=os.environ | self.environment,
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
        ).stdout

    def start_controller(self) -> None:
        """Start the controller, which takes up the jobs of one that ran before."""
        self.run("slurmctld")

    def stop_controller(self) -> None:
        """Stop the controller, which writes down its jobs; they go on without it."""
        self._stop("slurmctld")

    def stop(self) -> None:
        """Cancel all jobs and stop all daemons, whatever state they are in."""
        with contextlib.suppress(subprocess.SubprocessError, AssertionError):
            self.run("scancel", "--user=root")
            wait_until(lambda: not self.unfinished(), "the end of all jobs")
        for name in ("slurmd", "slurmctld", "munge"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                self._stop(name)

    def _stop(self, name: str) -> None:
        process = int((self.folder / f"{name}.pid").read_text())
        os.kill(process, signal.SIGTERM)
        wait_until(lambda: not is_alive(process), f"the end of {name}")

    def jobs(self) -> list[Job]:
        """Return all jobs, in the order in which they were submitted."""
        fields = "%i|%k|%P|%m|%T"
        listed = self.run("squeue", "--noheader", "--states=all", "--sort=i", f"--format={fields}")
        return [Job(*line.split("|")) for line in listed.splitlines()]

    def unfinished(self) -> list[Job]:
        """Return the jobs that run or wait."""
        return [job for job in self.jobs() if job.state in {"PENDING", "RUNNING", "COMPLETING"}]

    def running(self, rule: str) -> list[Job]:
        """Return the jobs of a rule that have started their step, and go on."""
        started = {file.name for file in (self.folder / "steps").iterdir()}
        return [
            job
            for job in self.jobs()
            if job.state == "RUNNING" and job.number in started and f"rule_{rule}" in job.rule
        ]

    def step(self, job: Job) -> list[str]:
        """Return partition and, if it was given one, GPU in the environment of a job's step."""
        return (self.folder / "steps" / job.number).read_text().split()


def free_ports(n: int) -> list[int]:
    """Return ports that nobody listens to."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(n)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def is_alive(process: int) -> bool:
    """Return whether a process runs; one that has ended and that nobody asked for does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
