"""alliance-mailer: a Markdown digest in a git repository becomes a sent newsletter.

Data walks down one staircase:

    issues/2.6.md ──► Issue ──► Rendered ──► Edition ─┐
                 issue      render       edition      │ message
    contacts/*.csv ─► Contact ─► Ledger (Delivery) ───┴──► Message ──► Transport ──► Outcome ──► Ledger
                contact      ledger                                transports     deliver
"""
