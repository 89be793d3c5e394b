"""Studies by DICOM: what `Receiver` keeps becomes an upload like any other once it is complete.

The inbox answers "success" only for what is on the disk, hands each version of a study over at least once, and the
service knows studies by their content: nothing is lost, nothing is analyzed twice.
"""

import logging
import threading
from collections.abc import Callable

from cspine.dicom import CT_CLASSES, identify
from cspine.domain import ConfigError
from cspine.service.config import ServiceConfig
from cspine.service.parts import Parts
from cspine.service.spool import MIB
from cspine.stores import Delivery, Inbox, InboxLimits, ReceivedStudy, Receiver, ReceiverConfig, TlsFiles

RECEIVED = "DICOM"
_DAY_S = 86_400.0

_log = logging.getLogger("cspine.service")


def receiver_config(config: ServiceConfig) -> ReceiverConfig:
    """Return where to listen, and to whom.

    Raises
    ------
    ConfigError
        A title, an address or a number is impossible.
    """
    files = (config.receive_tls_certificate, config.receive_tls_key, config.receive_tls_ca)
    if any(files) and not all(files[:2]):
        raise ConfigError("receive_tls_certificate and receive_tls_key belong together; give both or none")
    return ReceiverConfig(
        config.receive_ae_title,
        config.receive_host,
        config.receive_port,
        config.receive_callers,
        networks=config.receive_from or ReceiverConfig.networks,
        associations=config.receive_associations,
        tls=TlsFiles(*files) if any(files) else None,
    )


def handing_over(parts: Parts) -> Callable[[ReceivedStudy], None]:
    """Return what hands the CT images of a complete study to the service.

    The rest is left aside: results that the archive passes on to everybody must not make another study of it, and dose
    sheets or reports alone make none.
    """

    def hand_over(study: ReceivedStudy) -> None:
        images = [path for path in study.folder.iterdir() if identify(path).sop_class_uid in CT_CLASSES]
        if images:
            parts.spool.take_files(images, RECEIVED, study.last_received_s)
        else:
            _log.info("received %d objects without a CT image; left aside", study.objects)

    return hand_over


def receive(config: ServiceConfig, parts: Parts, stop: threading.Event) -> None:
    """Receive studies until asked to stop.

    Raises
    ------
    StoreError
        The address cannot be bound, or the inbox cannot be read.
    """
    limits = InboxLimits(config.receive_max_gib * 1024 * MIB, config.min_free_mib * MIB)
    inbox = Inbox(config.inbox_dir, limits)
    delivery = Delivery(
        inbox,
        config.receive_quiet_s,
        handing_over(parts),
        keep_s=config.receive_keep_days * _DAY_S,
        retry_s=config.retry_first_s,
        report=_log.warning,
    )
    with Receiver(receiver_config(config), inbox, _log.warning) as receiver:
        receiver.run(delivery, stop)
