# zlib does the work: nothing here needs C types.
