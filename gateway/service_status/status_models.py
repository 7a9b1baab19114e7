"""What the status page is made of: the minutes of our own probes, and incidents as staff tell them."""

from django.db import models
from django.utils import timezone


class ProbeMinute(models.Model):
    """Whether one component worked in one minute, as a probe found; kept for 91 days."""

    class Component(models.TextChoices):
        API = "api", "API"
        DATABASE = "database", "Database"
        LIMITS = "limits", "Rate limits"
        BACKGROUND = "background", "Background work"

    component = models.CharField(max_length=10, choices=Component.choices)
    at = models.DateTimeField(help_text="The beginning of the minute.")
    works = models.BooleanField()
    took_ms = models.PositiveIntegerField(
        help_text="How long the answer took; of background work: how old the oldest waiting entry is."
    )

    class Meta:
        constraints = [
            # One row a minute, however many probes run; also the index of the days' sums.
            models.UniqueConstraint(fields=["component", "at"], name="one_probe_each_minute")
        ]

    def __str__(self) -> str:
        return f"{self.component} {self.at:%Y-%m-%d %H:%M}"


class Incident(models.Model):
    """Something that customers noticed; written by staff, public."""

    class Impact(models.TextChoices):
        MINOR = "minor", "Minor"
        MAJOR = "major", "Major"
        CRITICAL = "critical", "Critical"
        MAINTENANCE = "maintenance", "Maintenance"

    title = models.CharField(max_length=160)
    impact = models.CharField(max_length=11, choices=Impact.choices)
    started_at = models.DateTimeField(default=timezone.now)
    resolved_at = models.DateTimeField(null=True, blank=True, help_text="Empty: it goes on.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(resolved_at=None)
                | models.Q(resolved_at__gte=models.F("started_at")),
                name="incident_ends_after_its_start",
            )
        ]

    def __str__(self) -> str:
        return self.title


class IncidentUpdate(models.Model):
    """What staff said of an incident at one moment."""

    class State(models.TextChoices):
        INVESTIGATING = "investigating", "Investigating"
        IDENTIFIED = "identified", "Identified"
        MONITORING = "monitoring", "Monitoring"
        RESOLVED = "resolved", "Resolved"

    incident = models.ForeignKey(Incident, on_delete=models.CASCADE, related_name="updates")
    at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=13, choices=State.choices)
    body = models.TextField(help_text="Plain text: what happened, who is affected, what is next.")

    def __str__(self) -> str:
        return f"{self.incident}: {self.get_state_display()}"
