from deploy.local.sandbox.process import main

main()
