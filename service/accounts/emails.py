"""Email addresses in their one canonical form, made here and nowhere else."""

import unicodedata

from email_validator import EmailNotValidError, validate_email

MAX_LENGTH = 255


def canonical_email(text: str) -> str:
    """Return the canonical form: NFKC, lower case, the domain in its ASCII form (RFC 5890).

    Nothing is looked up, and a domain needs no dot, since internal ones often have none.

    Raises:
        ValueError: says why this is no email address (RFC 5321, RFC 6531).
    """
    normal = unicodedata.normalize("NFKC", text)
    try:
        parts = validate_email(normal, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None
    email = f"{parts.local_part.lower()}@{parts.ascii_domain.lower()}"
    if len(email) > MAX_LENGTH:
        raise ValueError(f"It must have at most {MAX_LENGTH} characters.")
    return email
