"""`python -m deploy.local.sandbox`: see deploy.local.sandbox.process."""

from deploy.local.sandbox.process import main

main()
