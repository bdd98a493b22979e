"""Many inputs: the steps of one, which is worked on when, and what became of each. Nothing here prints.

runner = BatchRunner(RunSettings(SegmentOptions(threshold=0.2), model="avism-tiny"), Path("out"))
report = runner.run(collect([Path("videos")], Path("out")).jobs, events, CancelToken())
"""
