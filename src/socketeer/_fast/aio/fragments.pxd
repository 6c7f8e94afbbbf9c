# Coroutines: nothing here needs C types.
