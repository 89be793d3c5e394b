"""Where received objects wait until their study is complete: durable, bounded, under names of our own."""

from cspine.stores.inbox.delivery import Delivery
from cspine.stores.inbox.inbox import Inbox, InboxLimits, Kept
from cspine.stores.inbox.versions import ReceivedStudy

__all__ = ["Delivery", "Inbox", "InboxLimits", "Kept", "ReceivedStudy"]
