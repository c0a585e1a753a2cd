module fail

go 1.21
