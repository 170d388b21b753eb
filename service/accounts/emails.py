"""Email addresses in their one canonical form, made here and nowhere else."""

import email_validator

from service.accounts.unicode import nfkc

MAX_LENGTH = 255

# The library refuses .local, .test and their kin, to which no mail can be sent; but internal addresses end so.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()


def canonical_email(text: str) -> str:
    """Return the canonical form: NFKC, one case, the domain in its ASCII form (RFC 5890).

    Nothing is looked up, and a domain needs no dot, since internal ones often have none.

    Raises:
        ValueError: says why this is no email address (RFC 5321, RFC 6531).
    """
    normal = _bounded(nfkc(text))
    try:
        parts = email_validator.validate_email(normal, check_deliverability=False, globally_deliverable=False)
    except email_validator.EmailNotValidError as error:
        raise ValueError(str(error)) from None
    # Case folding makes one of what differs by case alone (the two small sigmas); lower() is how PostgreSQL checks it.
    local = nfkc(parts.local_part.casefold()).lower()
    return _bounded(f"{local}@{parts.ascii_domain.lower()}")


def _bounded(email: str) -> str:
    if len(email) > MAX_LENGTH:
        raise ValueError(f"It must have at most {MAX_LENGTH} characters.")
    return email
