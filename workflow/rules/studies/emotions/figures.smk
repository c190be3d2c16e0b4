# Evaluation of the emotions studies.
