<?php

declare(strict_types=1);

namespace Drupal\commerce_waybill\Form;

use Drupal\commerce_waybill\Outbox\Ping;
use Drupal\commerce_waybill\Signing\SecretResolver;
use Drupal\Core\Extension\ModuleHandlerInterface;
use Drupal\Core\Form\ConfigFormBase;
use Drupal\Core\Form\FormStateInterface;
use GuzzleHttp\Exception\GuzzleException;
use Symfony\Component\DependencyInjection\ContainerInterface;

/**
 * Where the middleware is, which secrets are shared, and what is told.
 */
class SettingsForm extends ConfigFormBase {

  /**
   * Seconds that the test waits for the middleware to come back.
   */
  private const PATIENCE = 10;

  /**
   * Events that can be told, by name.
   */
  private const EVENTS = [
    'order.placed',
    'order.updated',
    'order.paid',
    'order.cancelled',
    'order.fulfilled',
    'payment.inserted',
    'payment.updated',
  ];

  /**
   * Finds secrets behind references.
   */
  protected SecretResolver $secrets;

  /**
   * Proves both directions.
   */
  protected Ping $ping;

  /**
   * Knows the events of submodules.
   */
  protected ModuleHandlerInterface $moduleHandler;

  /**
   * {@inheritdoc}
   */
  public static function create(ContainerInterface $container): static {
    $form = parent::create($container);
    $form->secrets = $container->get(SecretResolver::class);
    $form->ping = $container->get(Ping::class);
    $form->moduleHandler = $container->get(ModuleHandlerInterface::class);
    return $form;
  }

  /**
   * {@inheritdoc}
   */
  public function getFormId(): string {
    return 'commerce_waybill_settings';
  }

  /**
   * {@inheritdoc}
   */
  protected function getEditableConfigNames(): array {
    return ['commerce_waybill.settings'];
  }

  /**
   * {@inheritdoc}
   */
  public function buildForm(array $form, FormStateInterface $form_state): array {
    $settings = $this->config('commerce_waybill.settings');
    $references = $this->t('A reference, never the secret itself: <code>env:NAME</code> for an environment variable, <code>settings:NAME</code> for a line of settings.php, <code>key:ID</code> for the Key module.');
    $form['out'] = ['#type' => 'details', '#open' => TRUE, '#title' => $this->t('To the middleware')];
    $form['out']['endpoint'] = [
      '#type' => 'url',
      '#title' => $this->t('Endpoint'),
      '#description' => $this->t('The address of this shop in the middleware, such as https://waybill.example.com/webhooks/shop. Without one, events wait in the outbox.'),
      '#default_value' => $settings->get('endpoint'),
    ];
    $form['out']['secret'] = [
      '#type' => 'textfield',
      '#title' => $this->t('Secret that signs events'),
      '#description' => $references,
      '#default_value' => $settings->get('secret'),
    ];
    $form['out']['events'] = [
      '#type' => 'checkboxes',
      '#title' => $this->t('Events'),
      '#description' => $this->t('What is not chosen is never recorded, so the middleware cannot learn of it later.'),
      '#options' => array_combine(self::EVENTS, self::EVENTS) + $this->otherEvents((array) $settings->get('events')),
      '#default_value' => (array) $settings->get('events'),
    ];
    $form['out']['timeout'] = [
      '#type' => 'number',
      '#title' => $this->t('Seconds that a delivery may take'),
      '#min' => 1,
      '#max' => 60,
      '#default_value' => $settings->get('timeout'),
    ];
    $form['in'] = ['#type' => 'details', '#open' => TRUE, '#title' => $this->t('From the middleware')];
    $form['in']['site_tag'] = [
      '#type' => 'textfield',
      '#title' => $this->t('Site tag'),
      '#description' => $this->t('Requests are signed for this tag, so that one for another site is refused here. It begins with "waybill:".'),
      '#default_value' => $settings->get('site_tag'),
      '#required' => TRUE,
    ];
    $form['in']['keys'] = [
      '#type' => 'textarea',
      '#title' => $this->t('Keys'),
      '#description' => $this->t('One a line: key id, reference of its secret, name of the account that requests act as, separated by spaces. To change a secret without a gap, list the new key beside the old one until the middleware uses it.') . ' ' . $references,
      '#default_value' => implode("\n", array_map($this->line(...), (array) $settings->get('keys'))),
      '#rows' => 3,
    ];
    $form['in']['console'] = [
      '#type' => 'url',
      '#title' => $this->t('Console'),
      '#description' => $this->t("The address of the middleware's console, for links from an order to its page there."),
      '#default_value' => $settings->get('console'),
    ];
    $form = parent::buildForm($form, $form_state);
    $form['actions']['test'] = [
      '#type' => 'submit',
      '#value' => $this->t('Save and test the connection'),
      '#submit' => ['::submitForm', '::test'],
    ];
    return $form;
  }

  /**
   * {@inheritdoc}
   */
  public function validateForm(array &$form, FormStateInterface $form_state): void {
    parent::validateForm($form, $form_state);
    if ($form_state->getValue('secret') !== '' || $form_state->getValue('endpoint') !== '') {
      $this->checkReference($form_state, 'secret', (string) $form_state->getValue('secret'));
    }
    if (!preg_match('/^waybill:[A-Za-z0-9._:-]+$/', (string) $form_state->getValue('site_tag'))) {
      $form_state->setErrorByName('site_tag', $this->t('The site tag begins with "waybill:" and goes on with letters, digits, dots and dashes.'));
    }
    $keys = [];
    foreach (preg_split('/\R/', trim((string) $form_state->getValue('keys')), -1, PREG_SPLIT_NO_EMPTY) as $line) {
      $parts = preg_split('/\s+/', trim($line), 3);
      if (count($parts) !== 3) {
        $form_state->setErrorByName('keys', $this->t('"@line" is not a key id, a reference and an account.', ['@line' => $line]));
        continue;
      }
      $this->checkReference($form_state, 'keys', $parts[1]);
      $keys[] = array_combine(['id', 'secret', 'account'], $parts);
    }
    if (count(array_unique(array_column($keys, 'id'))) !== count($keys)) {
      $form_state->setErrorByName('keys', $this->t('Two keys have the same id.'));
    }
    $form_state->setTemporaryValue('keys', $keys);
  }

  /**
   * {@inheritdoc}
   */
  public function submitForm(array &$form, FormStateInterface $form_state): void {
    $settings = $this->config('commerce_waybill.settings');
    foreach (['endpoint', 'secret', 'site_tag', 'console'] as $name) {
      $settings->set($name, trim((string) $form_state->getValue($name)));
    }
    $settings->set('timeout', (int) $form_state->getValue('timeout'));
    $settings->set('events', array_values(array_filter((array) $form_state->getValue('events'))));
    $settings->set('keys', $form_state->getTemporaryValue('keys'))->save();
    parent::submitForm($form, $form_state);
  }

  /**
   * Sends a ping and waits for the middleware to come back.
   */
  public function test(array &$form, FormStateInterface $form_state): void {
    try {
      [$id, $status] = $this->ping->send();
    }
    catch (GuzzleException | \InvalidArgumentException $exception) {
      $this->messenger()->addError($this->t('Nothing reached the middleware: @why', ['@why' => $exception->getMessage()]));
      return;
    }
    if ($status < 200 || $status >= 300) {
      $this->messenger()->addError($this->t('The middleware refused the signed message with HTTP @status. Do both sides have the same secret?', ['@status' => $status]));
      return;
    }
    $this->messenger()->addStatus($this->t('Outwards: the middleware took a signed message.'));
    for ($waited = 0; $waited < self::PATIENCE * 4; $waited++) {
      usleep(250_000);
      if ($this->ping->isAnswered($id)) {
        $this->messenger()->addStatus($this->t('Inwards: the middleware came back with a signed request.'));
        return;
      }
    }
    $this->messenger()->addWarning($this->t('Inwards: no signed request came back within @seconds seconds. Is the key listed here, and does a worker run there?', ['@seconds' => self::PATIENCE]));
  }

  /**
   * Reports what is wrong with the reference of a secret.
   */
  private function checkReference(FormStateInterface $form_state, string $element, string $reference): void {
    $message = match ($this->secrets->mistake($reference)) {
      'form' => $this->t('"@reference" is not a reference: env:NAME, settings:NAME or key:ID.', ['@reference' => mb_substr($reference, 0, 8) . '…']),
      'empty' => $this->t('Nothing usable stands behind "@reference".', ['@reference' => $reference]),
      default => NULL,
    };
    if ($message !== NULL) {
      $form_state->setErrorByName($element, $message);
    }
  }

  /**
   * Writes a key as a line of the form.
   */
  private function line(array $key): string {
    return implode(' ', [$key['id'], $key['secret'], $key['account']]);
  }

  /**
   * Offers events that a submodule added to the configuration.
   *
   * @param string[] $chosen
   *   Events that are on.
   */
  private function otherEvents(array $chosen): array {
    $other = array_diff(array_merge($chosen, $this->moduleHandler->invokeAll('commerce_waybill_events')), self::EVENTS);
    return array_combine($other, $other);
  }

}
