"""Run the system unattended and show its results: uploads, a queue of jobs, workers, a worklist, a viewer."""

from cspine.service.accounts import Accounts, Actor, Role, open_accounts
from cspine.service.audit import Audit
from cspine.service.config import ServiceConfig, config_of, example_config, read_config, settings_table
from cspine.service.duties import Duty, analysis, sending
from cspine.service.feedback import FeedbackBook, open_feedback
from cspine.service.feedback_set import SetCounts, write_set
from cspine.service.parts import Parts, open_parts
from cspine.service.queue import Failure, Job, JobQueue, RetryPolicy
from cspine.service.receiving import handing_over, receive
from cspine.service.run import run_service
from cspine.service.spool import Announced, Spool
from cspine.service.staff import bundle_of, run_receiver, run_sender, run_worker, staff_of
from cspine.service.states import TRANSITIONS, JobEvent, JobState, next_state
from cspine.service.studies import StudyBook, Urgency, urgency
from cspine.service.supervise import Supervisor, check_room
from cspine.service.tidy import tidy
from cspine.service.web import create_app
from cspine.service.worker import Watch, Worker

__all__ = [
    "TRANSITIONS",
    "Accounts",
    "Actor",
    "Announced",
    "Audit",
    "Duty",
    "Failure",
    "FeedbackBook",
    "Job",
    "JobEvent",
    "JobQueue",
    "JobState",
    "Parts",
    "RetryPolicy",
    "Role",
    "ServiceConfig",
    "SetCounts",
    "Spool",
    "StudyBook",
    "Supervisor",
    "Urgency",
    "Watch",
    "Worker",
    "analysis",
    "bundle_of",
    "check_room",
    "config_of",
    "create_app",
    "example_config",
    "handing_over",
    "next_state",
    "open_accounts",
    "open_feedback",
    "open_parts",
    "read_config",
    "receive",
    "run_receiver",
    "run_sender",
    "run_service",
    "run_worker",
    "sending",
    "settings_table",
    "staff_of",
    "tidy",
    "urgency",
    "write_set",
]
