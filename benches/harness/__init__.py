"""The parts of the benchmark.

scenarios  what is asked, over which socket, of how many processes and threads
servers    how each server is started for a scenario, and ended
processes  CPU time, memory and context switches of a process tree, read from /proc
load       builds and runs the load generator; attaches strace
report     table and JSON
"""
