# Fails in the way that the first argument names, and says nothing of it but what Ruby prints.
#
#     ruby fail.rb chain               the failure, on stderr
#     TRUTH=1 ruby fail.rb chain       what Ruby itself knows of the same failure, as JSON on stdout
require_relative 'library'
require_relative 'truth' if ENV['TRUTH']

class OrderError < StandardError; end

class Orders
  def initialize(rows)
    @rows = rows
  end

  def find(id)
    parse(@rows.fetch(id))
  rescue KeyError
    raise OrderError, "no order #{id}"
  end

  def self.each(ids)
    ids.map { |id| new({}).find(id) }
  end
end

FAILURES = {
  'chain' => -> {
    begin
      Orders.each(['A-1'])
    rescue OrderError
      raise 'service unavailable'
    end
  },
  'parsed' => -> { Orders.new('B' => '{').find('B') },
  'lines' => -> { raise ArgumentError, "first line\n\n\tfrom looks/like.rb:1:in `a_call'\nlast: line" },
  'empty' => -> { raise OrderError, '' },
  'missing' => -> { nil.total },
  'utf' => -> { raise OrderError, 'größe 日本語 🎉' },
  'ensured' => -> {
    begin
      [1].each { raise IOError, 'closed' }
    ensure
      Object.new
    end
  }
}.freeze

FAILURES.fetch(ARGV[0]).call
