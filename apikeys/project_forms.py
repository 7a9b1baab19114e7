"""The form of a project: name, colour and caps; money is typed in USD and stored in nano-USD."""

from dataclasses import fields

from django import forms

from accounts.models import Project
from apikeys.forms import UsdField
from apikeys.projects import ProjectRules


class ProjectForm(forms.Form):
    """What may be changed about a project at any time."""

    name = forms.CharField(max_length=120)
    colour = forms.ChoiceField(choices=Project.Colour.choices, initial=Project.Colour.GREY)
    budget_day_nanousd = UsdField(label="Budget a day, USD")
    budget_week_nanousd = UsdField(label="Budget a week, USD")
    budget_month_nanousd = UsdField(label="Budget a month, USD")
    budget_total_nanousd = UsdField(
        label="Budget in all, USD",
        help_text="Hard caps over all keys of the project: a call that might pass one is refused.",
    )

    def rules(self) -> ProjectRules:
        """Return what a valid form asks for."""
        return ProjectRules(
            **{one.name: self.cleaned_data[one.name] for one in fields(ProjectRules)}
        )


def form_of(project: Project) -> ProjectForm:
    """Return the form with what a project has now."""
    return ProjectForm(
        initial={one.name: getattr(project, one.name) for one in fields(ProjectRules)}
    )
