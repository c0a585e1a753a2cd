# Code of somebody else, so that a stack has calls in two files.
require 'json'

def parse(text)
  Integer(text)
end
