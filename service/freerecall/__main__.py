from freerecall.cli import main

main()
