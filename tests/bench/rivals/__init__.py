"""What people use today, doing the same steps on the same clusters: without a journal, a fence, or compare-and-set."""
