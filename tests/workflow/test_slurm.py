"""The workflow through a real SLURM: controller, node daemon, steps and memory limits, no accounts.

Every run starts from the finished tiny run, of which parts are taken away: what SLURM's jobs put
in their place must be what the local run had there, byte by byte.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from tests.checkout import Checkout
from tests.slurm_cluster import PATIENCE, SlurmCluster, wait_until, why_not_here

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("workflow"),
    pytest.mark.skipif(why_not_here() is not None, reason=str(why_not_here())),
]

# The profile as it stands, but for what fits a cluster without accounts, and a node that is here.
PROFILE = (
    "--workflow-profile=profiles/slurm",
    "--slurm-status-command=squeue",
    "--slurm-init-seconds-before-status-checks=2",
    "--latency-wait=10",
)
BOLD5000, SCENES = "results/tiny/bold5000", "results/tiny/scenes"
RSA, SCORES = f"{BOLD5000}/tables/rsa_CSI1.csv", f"{SCENES}/tables/pair_scores_subj01.csv"
FIGURES = (
    f"{BOLD5000}/figures/heatmap_CSI1.png",
    f"{SCENES}/figures/loss_curves_subj01_mlp_published.png",
)
# As README.md has users write it into the profile, of a rule that asks for a GPU in the tiny run.
GPU_MODEL = "--set-resources=fit_pair_model:gpu_model=tester"
# What the comparison asks for at first, in MB; and more, for longer than SLURM looks away.
FIRST_REQUEST = 1500
HEAVY = "import time\nBALLAST = b'x' * 1_700_000_000\ntime.sleep(5)\n"


@pytest.fixture(scope="module")
def cluster():
    # Not below pytest's folder: paths of sockets are at most 107 characters long.
    with tempfile.TemporaryDirectory(prefix="slurm") as folder:
        cluster = SlurmCluster(Path(folder))
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


class ClusterRun:
    """Snakemake in a copy of the repository, whose jobs go to the cluster."""

    def __init__(self, checkout: Checkout, cluster: SlurmCluster, *arguments: str) -> None:
        self.output = checkout.folder / "printed.txt"
        with self.output.open("w") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "snakemake", *PROFILE, *arguments],
                cwd=checkout.folder,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ
                | cluster.environment
                | {"XDG_CACHE_HOME": str(checkout.folder / ".cache")},
                # Tests that a shell has put into the background hand on that they ignore Ctrl-C.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    def printed(self) -> str:
        return self.output.read_text()

    def end(self) -> int:
        """Wait for the end and return the exit status."""
        try:
            return self.process.wait(2 * PATIENCE)
        finally:
            self.process.kill()

    def wait_for_running(self, cluster: SlurmCluster, rule: str):
        """Return the job of a rule once its step runs."""

        def running():
            assert self.process.poll() is None, self.printed()
            return cluster.running(rule)

        return wait_until(running, f"a running job of {rule}")[0]


@contextlib.contextmanager
def copied(tiny_run):
    with tempfile.TemporaryDirectory(prefix="slurm_run", ignore_cleanup_errors=True) as folder:
        shutil.copytree(tiny_run.folder, folder, symlinks=True, dirs_exist_ok=True)
        yield Checkout(Path(folder))


def remove_fits(checkout: Checkout, model: str) -> None:
    """Remove what was fitted of a model, and what is scored of it: a table alone would stay."""
    for file in (checkout.folder / SCENES).rglob(f"subj01_{model}*"):
        file.unlink()
    (checkout.folder / SCORES).unlink()


@pytest.fixture(scope="module")
def demanding(tiny_run, cluster):
    """Run a fit that asks for a GPU, and a comparison that needs more memory than it asks for."""
    with copied(tiny_run) as checkout:
        remove_fits(checkout, "ridge")
        (checkout.folder / RSA).unlink()
        script = checkout.folder / "scripts/compare/compare_rdms.py"
        main = 'if __name__ == "__main__":\n'
        heavy = "".join(f"    {line}\n" for line in HEAVY.splitlines())
        script.write_text(script.read_text().replace(main, main + heavy))
        gpu = {"dissimilarity": {"scenes": {"models": {"ridge": {"gpu": True}}}}}
        config = checkout.write_tiny("config/gpu.yaml", gpu)
        before = {job.number for job in cluster.jobs()}
        run = ClusterRun(checkout, cluster, RSA, SCORES, GPU_MODEL, "--configfile", str(config))
        assert run.end() == 0, run.printed()
        jobs = [job for job in cluster.jobs() if job.number not in before]
        yield checkout, run.printed(), jobs


@pytest.fixture(scope="module")
def without_gpus(tiny_run, cluster):
    """Run a fit that asks for a GPU of a model, where the call allows none."""
    with copied(tiny_run) as checkout:
        remove_fits(checkout, "mlp_published")
        before = {job.number for job in cluster.jobs()}
        arguments = ("--configfile=config/tiny.yaml", GPU_MODEL, "--resources", "gpu=0")
        run = ClusterRun(checkout, cluster, SCORES, *arguments)
        assert run.end() == 0, run.printed()
        yield checkout, [job for job in cluster.jobs() if job.number not in before]


def log_of_fit(checkout, model):
    return (checkout.folder / f"results/tiny/logs/scenes/models/subj01_{model}.log").read_text()


def jobs_of(jobs, rule):
    return [job for job in jobs if job.rule.startswith(f"rule_{rule}_")]


def test_job_with_a_gpu_lands_in_its_partition_and_sees_it(demanding, cluster):
    checkout, _, jobs = demanding
    (fit,) = jobs_of(jobs, "fit_pair_model")
    assert cluster.step(fit) == ["gpu", "0"]
    assert fit.partition == "gpu"
    assert "gpu 1" in log_of_fit(checkout, "ridge")


def test_jobs_without_a_gpu_see_none(demanding, cluster):
    _, _, jobs = demanding
    others = [*jobs_of(jobs, "score_pair_models"), *jobs_of(jobs, "compare_rdms")]
    assert len(others) == 3
    assert [cluster.step(job) for job in others] == [["cpu"]] * 3


def test_model_of_gpu_is_not_asked_for_where_the_call_allows_none(without_gpus, cluster):
    checkout, jobs = without_gpus
    (fit,) = jobs_of(jobs, "fit_pair_model")
    assert (fit.state, cluster.step(fit)) == ("COMPLETED", ["cpu"])
    assert "gpu 0" in log_of_fit(checkout, "mlp_published")


def test_job_killed_for_its_memory_is_sent_again_with_twice_as_much(demanding):
    checkout, printed, jobs = demanding
    first, second = jobs_of(jobs, "compare_rdms")
    assert (first.memory, second.memory) == (f"{FIRST_REQUEST}M", f"{2 * FIRST_REQUEST}M")
    assert (first.state, second.state) == ("FAILED", "COMPLETED")
    (log,) = (checkout.folder / ".snakemake/slurm_logs").rglob(f"{first.number}.log")
    found, limit = re.search(r"exceeded memory limit \((\d+) > (\d+)\)", log.read_text()).groups()
    assert int(found) > int(limit) == FIRST_REQUEST * 2**20
    # Snakemake names the log before it sends the job again.
    assert printed.index(str(log)) < printed.index("Trying to restart job")
    assert printed.index(f"SLURM-job '{first.number}' failed") < printed.index(
        f"SLURM jobid {second.number} "
    )


@pytest.mark.parametrize("table", [RSA, SCORES])
def test_retried_and_gpu_jobs_leave_the_tables_of_a_local_run(demanding, tiny_run, table):
    checkout, _, _ = demanding
    assert (checkout.folder / table).read_bytes() == (tiny_run.folder / table).read_bytes()


def test_interrupted_run_ends_whole(tiny_run, cluster):
    """Ctrl-C; in the next call a new controller, and a running job that is cancelled."""
    with copied(tiny_run) as checkout:
        # Every step of the graph of jobs takes its time in the queue: RDMs stay.
        for part in ("draws", "tables", "figures"):
            shutil.rmtree(checkout.folder / BOLD5000 / part)
        remove_fits(checkout, "mlp_published")
        # Without GPUs the network is fitted on processors, in their partition.
        arguments = (*FIGURES, SCORES, "--configfile=config/tiny.yaml", "--resources", "gpu=0")
        interrupt(ClusterRun(checkout, cluster, *arguments), cluster)
        run = ClusterRun(checkout, cluster, *arguments)
        restart_controller(run, cluster)
        cancel_job(run, cluster)
        assert run.end() == 0, run.printed()
        fit = jobs_of(cluster.jobs(), "fit_pair_model")[-1]
        assert (fit.state, cluster.step(fit)) == ("COMPLETED", ["cpu"])
        assert "gpu 0" in log_of_fit(checkout, "mlp_published")
        # Both figures are one job.
        assert len([job for job in cluster.jobs() if "plot_" in job.rule]) == 1
        assert all((checkout.folder / figure).stat().st_size > 1000 for figure in FIGURES)
        for table in (RSA, SCORES):
            found = (checkout.folder / table).read_bytes()
            assert found == (tiny_run.folder / table).read_bytes(), table


def interrupt(run, cluster):
    """Press Ctrl-C while a job runs: all jobs are cancelled."""
    job = run.wait_for_running(cluster, "resample_images")
    run.process.send_signal(signal.SIGINT)
    assert run.end() != 0
    wait_until(lambda: not cluster.unfinished(), "the end of the cancelled jobs")
    assert {other.number: other.state for other in cluster.jobs()}[job.number] == "CANCELLED"


def restart_controller(run, cluster):
    """Stop the controller while a job runs, which goes on, and start another."""
    job = run.wait_for_running(cluster, "resample_images")
    cluster.stop_controller()
    time.sleep(3)
    cluster.start_controller()

    def state():
        return {other.number: other.state for other in cluster.jobs()}.get(job.number)

    wait_until(lambda: state() == "COMPLETED", "a job that outlives its controller")


def cancel_job(run, cluster):
    """Cancel a running job behind Snakemake's back: it is sent again."""
    job = run.wait_for_running(cluster, "compare_rdms")
    cluster.run("scancel", job.number)
    wait_until(
        lambda: (
            [other for other in cluster.jobs() if other.rule == job.rule][-1] != job
            and "Trying to restart job" in run.printed()
        ),
        "another job in place of the cancelled one",
    )
