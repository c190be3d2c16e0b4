# Functions of stage report: the jobs that a run is made of.


def jobs_before(wildcards, output):
    """Return (rule, study, benchmark file, log file) of every job that a job waits for.

    What a run costs is told of these: of files below the folder of benchmarks, some may be of jobs
    that a changed config no longer asks for. Files are not declared as inputs, so that nothing runs
    again to measure what is there already.
    """
    dag = workflow.dag
    own = next(job for job in dag.jobs if output[0] in job.output)
    jobs = {job for job in dag.bfs(dag.dependencies, own) if job.benchmark}
    return sorted(
        (
            job.rule.name,
            job.wildcards_dict.get("study", ""),
            str(job.benchmark),
            str(job.log[0]) if job.log else "",
        )
        for job in jobs - {own}
    )
