import io.confluent.parallelconsumer.ParallelConsumerOptions;
import io.confluent.parallelconsumer.vertx.VertxParallelEoSStreamProcessor;
import io.vertx.core.buffer.Buffer;
import io.vertx.ext.web.client.predicate.ResponsePredicate;
import java.net.URI;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Creates a hospital for each record with Confluent's Parallel Consumer and Vert.x, with its own defaults.
 * Arguments: bootstrap servers, topic, group, URL of the directory's hospitals. A record's value is the body to post.
 */
public class Peer {
    public static void main(String[] arguments) {
        Properties kafka = new Properties();
        kafka.put("bootstrap.servers", arguments[0]);
        kafka.put("group.id", arguments[2]);
        kafka.put("auto.offset.reset", "earliest");
        kafka.put("enable.auto.commit", "false"); // Parallel Consumer refuses anything else
        kafka.put("key.deserializer", StringDeserializer.class.getName());
        kafka.put("value.deserializer", StringDeserializer.class.getName());
        URI directory = URI.create(arguments[3]);
        KafkaConsumer<String, String> consumer = new KafkaConsumer<>(kafka);
        var options = ParallelConsumerOptions.<String, String>builder().consumer(consumer).build();
        var processor = new VertxParallelEoSStreamProcessor<String, String>(options);
        processor.subscribe(List.of(arguments[1]));
        processor.vertxHttpWebClient(
                (client, record) -> client.post(directory.getPort(), directory.getHost(), directory.getPath())
                        .putHeader("Content-Type", "application/json")
                        .expect(ResponsePredicate.SC_SUCCESS) // anything else is tried again
                        .sendBuffer(Buffer.buffer(record.value())),
                sent -> { });
        Runtime.getRuntime().addShutdownHook(new Thread(processor::closeDrainFirst));
    }
}
