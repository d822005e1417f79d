"""A real Hadoop on loopback, from its Maven artifacts: HDFS, YARN and the job history as separate daemons."""
