-- The last version of a stream is what its events say; a head beside them was a second row to write for every append, and a second truth.
drop table stream_head;
