"""An index that lies elsewhere: pushed and pulled, and asked in place with a few small reads.

`infgram.open` fetches what it needs and is an Index like any other; here is what is asked where it
lies. May touch the index, the store and its objects.
"""
