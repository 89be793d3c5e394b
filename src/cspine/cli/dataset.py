"""`cspine data`: a data set on disk, from its index to what a model is trained on. Needs the extra ``data``."""

import typer

from cspine.cli import dataset_index, dataset_leaks, dataset_make, dataset_select, dataset_submission, dataset_views

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Index, filter, split, check and prepare a data set."
)


@app.callback()
def group() -> None:
    """Index, filter, split, check and prepare a data set; needs: pip install 'cspine[data]'."""


app.command("index")(dataset_index.index)
app.command("filter")(dataset_select.filter_)
app.command("split")(dataset_select.split)
app.command("join")(dataset_select.join)
app.command("check-leaks")(dataset_leaks.check_leaks)
app.command("folder")(dataset_leaks.folder)
app.command("submission")(dataset_submission.submission)
app.command("explore")(dataset_views.explore)
app.command("video")(dataset_views.video)
app.command("audit")(dataset_views.audit)
app.command("prepare")(dataset_make.prepare)
app.command("images")(dataset_make.images)
app.command("augment")(dataset_make.augment)
