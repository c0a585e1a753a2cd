# Prints what Ruby's own location objects say of the failure that ends the process, as a record.
require 'json'

def record(error, relation = nil)
  calls = (error.backtrace_locations || []).map { |call| [call.path, call.lineno, call.label, nil] }
  {
    errorType: error.class.name, errorMessage: error.respond_to?(:detailed_message) ? error.message : error.message,
    stackTrace: calls.reverse, causes: error.cause ? [record(error.cause, 'cause')] : [], relation: relation
  }
end

at_exit { puts JSON.generate(record($!)) }
